import Metrics

/// What one measurement of a load has shown.
struct LoadResult: Sendable {
    /// The share of errors from which on a network counts as overloaded.
    private static let errorShare = 0.01
    /// The factor by which the 99th percentile of latency then exceeds the first step's.
    private static let latencyFactor = 4.0

    /// The transactions per second that were due.
    let rate: Double
    /// The time in which all were due.
    let duration: Duration
    /// The number of transactions that were due.
    let total: Int
    let committed: Int
    /// From the start until the last commit, if that is later than `duration`.
    let elapsed: Duration
    /// The number of errors of each kind.
    let errors: [(kind: String, count: Int)]
    /// From due to committed.
    let latency: HistogramSnapshot
    /// From due to sent.
    let delay: HistogramSnapshot

    init(_ run: LoadRun) {
        let totals = run.ledger.totals
        rate = run.rate
        duration = run.duration
        total = run.total
        committed = totals.committed
        elapsed = max(run.duration, totals.lastCommit)
        errors = totals.errors.map { (kind: $0.key, count: $0.value) }
            .sorted { ($1.count, $0.kind) < ($0.count, $1.kind) }
        latency = run.ledger.latency.snapshot()
        delay = run.ledger.delay.snapshot()
    }

    var committedPerSecond: Double { Double(committed) / (elapsed / .seconds(1)) }

    var errorCount: Int { errors.reduce(0) { $0 + $1.count } }

    /// Why the network cannot keep up; nil if it can. `first` is the measurement at the lowest rate.
    func overload(comparedTo first: LoadResult) -> String? {
        if Double(errorCount) > Self.errorShare * Double(total) {
            return "\(errorCount) of \(total) transactions failed"
        }
        let (usual, now) = (first.latency.value(atPercentile: 99), latency.value(atPercentile: 99))
        guard Double(now) > Self.latencyFactor * Double(usual) else { return nil }
        return "the 99th percentile of latency is more than \(Int(Self.latencyFactor)) times the first step's"
    }
}
