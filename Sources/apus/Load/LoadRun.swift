import API
import Arguments
import Chain
import Crypto
import Reactor

/// One measurement at one rate. Transaction `n` is due at `n / rate` seconds, and sent then or, if its connection is busy,
/// with others as soon as it is not.
struct LoadRun: Sendable {
    /// The time between two looks for the next block, by which latencies may be too long.
    private static let lookInterval = Duration.milliseconds(5)
    /// The time to wait after the node could not be asked for a block.
    private static let retryInterval = Duration.milliseconds(200)
    /// The maximum time of a request.
    static let requestTime = Duration.seconds(10)

    let target: LoadTarget
    let rate: Double
    let duration: Duration
    /// The time after which a transaction that is not committed has failed.
    let patience: Duration
    let ledger = LoadLedger()
    /// The number of transactions.
    let total: Int

    init(_ target: LoadTarget, rate: Double, duration: Duration, patience: Duration) {
        self.target = target
        self.rate = rate
        self.duration = duration
        self.patience = patience
        total = max(1, Int(rate * (duration / .seconds(1))))
    }

    /// Measures. Returns when each transaction is committed or has failed.
    func run() async throws -> LoadResult {
        let client = try RPCClient(target.address, timeout: Self.requestTime)
        let height = try await client.status().height
        let count = min(LoadCommand.connections, target.senders.count)
        var lanes: [LoadLane] = []
        for number in 0..<count {
            let senders = target.senders.indices.filter { $0 % count == number }.map { target.senders[$0] }
            lanes.append(try await LoadLane(self, number, of: count, senders))
        }
        let start = ContinuousClock.now
        // The end of this scope cancels it.
        async let _ = follow(from: height + 1, client, since: start)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in lanes {
                group.addTask {
                    var lane = lane
                    try await lane.run(since: start)
                }
            }
            try await group.waitForAll()
        }
        try await finish(since: start)
        return LoadResult(self)
    }

    /// The time at which a transaction is due.
    func due(_ number: Int) -> Duration { .seconds(Double(number) / rate) }

    private func finish(since start: ContinuousClock.Instant) async throws {
        while ledger.open > 0 {
            try await Reactor.sleep(for: Self.lookInterval)
            ledger.giveUp(dueBefore: ContinuousClock.now - start - patience)
        }
    }

    /// Looks for each block as soon as the node may have committed it, until cancelled.
    private func follow(
        from first: Int64, _ client: RPCClient, since start: ContinuousClock.Instant
    ) async throws {
        var height = first
        while true {
            try Task.checkCancellation()
            do throws(RPCClient.Failure) {
                guard let ids = try await client.transactions(at: height) else {
                    try? await Reactor.sleep(for: Self.lookInterval)
                    continue
                }
                let now = ContinuousClock.now - start
                guard let results = try await client.results(at: height) else { continue }
                ledger.committed(ids, results, at: now)
                height += 1
            } catch {
                try? await Reactor.sleep(for: Self.retryInterval)
            }
        }
    }
}
