import Bytes
import Chain
import Collections
import Crypto
import Execution
import Mempool
import Multiformats
import Peers
import Protocols
import Reactor
import Storage

/// Drives the mempool on its own worker: has transactions from clients and peers checked on another worker, and
/// announces them to peers.
///
/// A blocks-only node (`mempool.enabled = false`) accepts no transactions.
@ReactorActor
final class MempoolService: TransactionSource, Service {
    /// The maximum number of transactions checked together by each thread: some milliseconds of signatures.
    nonisolated static let batch = 128
    /// The number of transactions checked in one piece, after which blocks have their turn, and the maximum number checked
    /// where the mempool runs: about a millisecond of signatures.
    nonisolated static let few = 16

    typealias Outcome = Result<Transaction, MempoolError>

    /// The part of the chain's state that the mempool follows.
    struct Rules: Equatable {
        /// Whether this node is the leader.
        var isLeader: Bool
        /// The limits of the next block.
        var parameters: NetworkParameters
    }

    /// The mempool's contents before and after a change.
    struct Change: Sendable {
        let before: Mempool.Contents
        let contents: Mempool.Contents
    }

    /// What others may want to know of the mempool.
    enum Event: Sendable {
        /// Its contents have changed.
        case changed(Change)
        /// It has dropped transactions that might still be mined.
        case lost([Loss])
    }

    let events = EventChannel<Event>()
    let context: NodeContext
    let driver: MachineDriver<Mempool>
    private let peers: PeerService
    private var rules: Rules
    private var rhythm: BlockRhythm
    private let lossReport: LossReport
    /// Whether `takeFew` is under way. Others gather meanwhile.
    private var isTakingFew = false
    /// The exchange with peers, while the service runs.
    private var exchange: TransactionExchange?
    private(set) lazy var checks = Gathering<Arrival, Outcome>(
        most: Self.batch * context.checks.kind.threads
    ) { [weak self] in
        await self?.check($0) ?? []
    }
    /// The progress of reading back the transactions of the last run.
    var restoration = Restoration.over
    private(set) var isStopped = false
    /// The latest contents that the mempool reported.
    private(set) var contents: Mempool.Contents
    /// The number of reports.
    private(set) var changes = 0

    /// Creates a service under the chain's current rules.
    init(_ context: NodeContext, _ peers: PeerService, _ rules: Rules) {
        self.context = context
        self.peers = peers
        self.rules = rules
        lossReport = LossReport(context.log)
        rhythm = BlockRhythm(proposeTimeout: context.configuration.consensus.proposeTimeout)
        let mempool = Mempool(MempoolLimits(context.configuration.mempool))
        contents = mempool.contents
        driver = MachineDriver(
            mempool, on: context.mempool,
            wallClock: context.wallClock,
            onBrokenInvariant: context.observer.brokenInvariant)
    }

    /// Runs the mempool and exchanges transactions with peers until cancelled. Then writes the unconfirmed transactions
    /// to a file.
    func run() async throws {
        driver.start { [weak self] in self?.perform($0) }
        follow(rules)
        let exchange = TransactionExchange(
            context.host, self, isBlocksOnly: !context.configuration.mempool.isEnabled)
        self.exchange = exchange
        exchange.start()
        beginRestoring()
        defer { driver.stop() }
        try await ServiceEnd().wait()
        isStopped = true
        exchange.stop()
        self.exchange = nil
        events.finish()
        lossReport.write()
        await keep()
    }

    private func perform(_ action: Mempool.Action) {
        switch action {
        case .announce(let ids):
            if exchange != nil { context.traces.transactions.note(.announced, ids) }
            exchange?.announce(ids)
        case .spread(let ids):
            if exchange != nil { context.traces.transactions.note(.announced, ids) }
            exchange?.spread(ids)
        case .tell(let peer): exchange?.tell(peer)
        case .pause: exchange?.pause()
        case .resume: exchange?.resume()
        case .changed(let contents):
            let before = self.contents
            self.contents = contents
            changes &+= 1
            events.send(.changed(Change(before: before, contents: contents)))
            if contents.room > before.room { exchange?.roomGrew() }
        case .lost(let losses):
            for loss in losses { context.metrics.dropped[loss.reason].add() }
            lossReport.add(losses)
            events.send(.lost(losses))
        }
    }

    // MARK: TransactionSource

    func wanted(_ ids: [Hash]) async -> [Hash] {
        let chain = context.chain
        let wanted = try? await driver.ask { mempool, _, _ in mempool.wanted(ids) { chain.isMined($0) } }
        return wanted ?? []
    }

    /// Returns unconfirmed transactions from the mempool and committed ones from the chain.
    func transactions(_ ids: [Hash], bytes limit: Int) async -> [SharedBytes?] {
        let waiting = try? await driver.ask { mempool, _, _ in mempool.transactions(ids).mapValues(\.bytes) }
        guard let waiting else { return ids.map { _ in nil } }
        let found = try? await context.chain.transactions(
            ids, waiting: waiting, bytes: limit, on: context.serving)
        return found ?? ids.map { _ in nil }
    }

    func backlog(for peer: PeerID, isFirst: Bool, most: Int) async -> (ids: [Hash], isLast: Bool) {
        let next = try? await driver.ask { mempool, _, _ in
            mempool.backlog(for: peer, isFirst: isFirst, most: most)
        }
        return next ?? ([], true)
    }

    /// The announcements that wait until their peers may be asked, and the most that may.
    var waitingAnnouncements: (count: Int, limit: Int) { exchange?.waiting ?? (0, 0) }

    /// The long transactions that only one peer has been told of, and the most that may be.
    var spreadingTransactions: (count: Int, limit: Int) { exchange?.told ?? (0, 0) }

    var patience: Duration { rhythm.patience(at: Reactor.now) }

    /// What waits for its check has room already.
    var room: Int { max(0, contents.room &- checks.count) }

    func receive(_ transactions: [(id: Hash, bytes: SharedBytes)], from peer: PeerID) async -> Bool {
        let outcomes = await take(transactions)
        log(outcomes, of: transactions.map(\.id), from: peer)
        return outcomes.allSatisfy { outcome in
            guard case .failure(let error) = outcome else { return true }
            return !error.isForgery
        }
    }

    func trusts(_ peer: PeerID) -> Bool { peers.trusts(peer) }

    func follows(_ peer: PeerID) -> Bool { peers.follows(peer) }

    /// A transaction that no block can hold is refused.
    var transactionLimit: Int { rules.parameters.transactionLimit }

    // MARK: Admission

    /// Accepts transactions of clients, which every node announces, including the leader. Returns one outcome each, in
    /// order.
    func submit(_ transactions: [SharedBytes]) async -> [Outcome] {
        let arrivals = transactions.map { Arrival(id: .sha256(of: $0), isOwn: true, bytes: $0) }
        context.traces.transactions.begin(.submitted, arrivals.lazy.map { $0.id })
        let outcomes = await checks.run(arrivals)
        log(outcomes, of: arrivals.map(\.id), from: nil)
        return count(outcomes)
    }

    /// Logs what became of transactions that a peer or, if it is nil, a client sent.
    private func log(_ outcomes: [Outcome], of ids: @autoclosure () -> [Hash], from peer: PeerID?) {
        guard context.log.takes(.debug) else { return }
        let source = peer?.description ?? "client"
        for (id, outcome) in zip(ids(), outcomes) {
            switch outcome {
            case .success:
                context.log.debug("transaction accepted", ["transaction": .of(id), "peer": .text(source)])
            case .failure(let error):
                context.log.debug(
                    "transaction refused",
                    ["transaction": .of(id), "peer": .text(source), "reason": .error(error)])
            }
        }
    }

    /// Accepts transactions of peers or of the last run. Returns one outcome each, in order; `.duplicate` for those
    /// that need no check.
    func take(_ transactions: [(id: Hash, bytes: SharedBytes)]) async -> [Outcome] {
        if transactions.count <= Self.few, checks.isIdle, !isTakingFew {
            isTakingFew = true
            defer { isTakingFew = false }
            return count(await takeFew(transactions))
        }
        var outcomes: [Outcome] = Array(repeating: .failure(.duplicate), count: transactions.count)
        let (ids, chain, arrival) = (transactions.map(\.id), context.chain, Reactor.now)
        guard let begun = try? await driver.ask({ mempool, _, _ in mempool.begin(ids) { chain.isMined($0) } })
        else { return ids.map { _ in .failure(.full) } }
        context.metrics.duplicates[.transaction].add(UInt64(ids.count - begun.count))
        let arrivals = begun.map { Arrival(id: ids[$0], isOwn: false, bytes: transactions[$0].bytes) }
        context.traces.transactions.begin(.fetched, arrivals.lazy.map { $0.id }, at: arrival)
        for (place, outcome) in zip(begun, await checks.run(arrivals)) { outcomes[place] = outcome }
        return count(outcomes)
    }

    /// Does the same with a few in one visit to the mempool.
    private func takeFew(_ transactions: [(id: Hash, bytes: SharedBytes)]) async -> [Outcome] {
        let arrivals = transactions.map { Arrival(id: $0.id, isOwn: false, bytes: $0.bytes) }
        let (check, application, chain) = (transactionCheck, context.application, context.chain)
        let (arrival, clock) = (Reactor.now, Reactor.clock)
        let visit = try? await driver.ask { mempool, now, actions in
            let begun = mempool.begin(arrivals.map(\.id)) { chain.isMined($0) }
            let checked = begun.map { place in
                let result = arrivals[place].checked(check) { mempool.refusal(of: $0) }
                return arrivals[place].with(result, from: application)
            }
            let outcomes = mempool.admit(
                checked, isMined: { chain.isMined($0) }, at: now, actions: &actions)
            return (begun, outcomes, clock.now)
        }
        guard let (begun, admitted, time) = visit else { return arrivals.map { _ in .failure(.full) } }
        context.metrics.duplicates[.transaction].add(UInt64(arrivals.count - begun.count))
        context.traces.transactions.begin(.fetched, begun.lazy.map { arrivals[$0].id }, at: arrival)
        var outcomes: [Outcome] = Array(repeating: .failure(.duplicate), count: arrivals.count)
        for (place, outcome) in zip(begun, admitted) { outcomes[place] = outcome }
        noteChecked(arrivals, outcomes, at: time)
        return outcomes
    }

    private func noteChecked(_ arrivals: [Arrival], _ outcomes: [Outcome], at time: Duration) {
        let accepted = zip(arrivals, outcomes).lazy.filter { (try? $0.1.get()) != nil }.map { $0.0.id }
        context.traces.transactions.note(.checked, accepted, at: time)
    }

    private var transactionCheck: TransactionCheck {
        TransactionCheck(chainID: context.genesis.chainID, maxBytes: transactionLimit)
    }

    /// Counts outcomes and returns them.
    private func count(_ outcomes: [Outcome]) -> [Outcome] {
        let metrics = context.metrics
        for outcome in outcomes {
            switch outcome {
            case .success: metrics.accepted.add()
            case .failure(let error): metrics.refused[MempoolRefusal(error)].add()
            }
        }
        return outcomes
    }

    /// Checks a batch and passes it to the mempool. Many transactions are checked on the pool of checks, in pieces; a few are
    /// checked where the mempool runs, because another hop would cost them as much as a check.
    private func check(_ batch: [Arrival]) async -> [Outcome] {
        let check = transactionCheck
        let admission: (outcomes: [Outcome], time: Duration)?
        if batch.count <= Self.few {
            admission = await admit(batch) { mempool in
                batch.map { $0.checked(check) { mempool.refusal(of: $0) } }
            }
        } else {
            let refusals = await refusals(of: batch, check)
            let pieces = (batch.count + Self.few - 1) / Self.few
            let results = try? await context.checks.run(.low, pieces: pieces) { piece in
                batch.dropFirst(piece * Self.few).prefix(Self.few).map { item in
                    item.checked(check) { refusals[$0.id] }
                }
            } join: {
                Array($0.joined())
            }
            guard let results else { return batch.map { _ in .failure(.full) } }
            admission = await admit(batch) { _ in results }
        }
        guard let admission else { return batch.map { _ in .failure(.full) } }
        noteChecked(batch, admission.outcomes, at: admission.time)
        return admission.outcomes
    }

    /// Asks a full mempool for which transactions of a batch it has no room.
    private func refusals(of batch: [Arrival], _ check: TransactionCheck) async -> [Hash: MempoolError] {
        guard contents.room < batch.count else { return [:] }
        let refusals = try? await driver.ask { mempool, _, _ in
            var refusals: [Hash: MempoolError] = [:]
            for item in batch {
                guard let transaction = try? check.decode(item.bytes, id: item.id) else { continue }
                refusals[item.id] = mempool.refusal(of: transaction)
            }
            return refusals
        }
        return refusals ?? [:]
    }

    /// Passes the results of a batch's checks to the mempool. Returns the outcomes, and when they were known.
    private func admit(
        _ batch: [Arrival], _ results: @escaping @Sendable (Mempool) -> [Result<Transaction, MempoolError>]
    ) async -> (outcomes: [Outcome], time: Duration)? {
        let (chain, application, clock) = (context.chain, context.application, Reactor.clock)
        return try? await driver.ask { mempool, now, actions in
            let checked = zip(batch, results(mempool)).map { $0.with($1, from: application) }
            let outcomes = mempool.admit(
                checked, isMined: { chain.isMined($0) }, at: now, actions: &actions)
            return (outcomes, clock.now)
        }
    }

    // MARK: Questions

    /// Returns an unconfirmed transaction.
    func waiting(_ id: Hash) async -> Transaction? {
        (try? await driver.ask { mempool, _, _ in mempool.transaction(id) }) ?? nil
    }

    /// Returns the nonce of the account's last transaction here that a block could hold; nil if it has none.
    func pendingNonce(_ account: AccountID) async -> UInt64? {
        (try? await driver.ask { mempool, _, _ in mempool.pendingNonce(account) }) ?? nil
    }

    /// Returns transactions for the next block.
    func propose(maxBytes: Int, maxCount: Int = .max) async -> [Transaction] {
        let proposed = try? await driver.ask { mempool, _, _ in
            mempool.propose(maxBytes: maxBytes, maxCount: maxCount)
        }
        return proposed ?? []
    }

    /// Returns the transactions of `ids` that the mempool has checked.
    func checked(_ ids: [Hash]) async -> [Hash: Transaction] {
        (try? await driver.ask { mempool, _, _ in mempool.transactions(ids) }) ?? [:]
    }

    /// Adds to a block what it lacks and the mempool has.
    func supply(_ assembly: BlockAssembly) async -> BlockAssembly {
        guard contents.count > 0 else { return assembly }
        let supplied = try? await driver.ask { mempool, _, _ in
            var assembly = assembly
            mempool.supply(&assembly)
            return assembly
        }
        return supplied ?? assembly
    }

    /// Returns the places in a block of transactions that a peer probably lacks.
    func lacking(_ ids: [Hash], _ peer: PeerID) -> [Int] { exchange?.lacking(ids, peer) ?? [] }

    // MARK: Events

    /// Removes a committed block's transactions, and checks the others against the new nonces and balances.
    func committed(_ ids: [Hash], _ accounts: [ExecutionResult.ChangedAccount]) {
        guard context.configuration.mempool.isEnabled else { return }
        driver.submit(.committed(ids, accounts))
    }

    func drop(_ ids: [Hash]) { driver.submit(.dropped(ids)) }

    /// Follows changed limits.
    func follow(_ configuration: Configuration.Mempool) {
        driver.submit(.limits(MempoolLimits(configuration)))
    }

    /// Notes that the node has begun to catch up, or has finished.
    func syncing(_ flag: Bool) { driver.submit(.syncing(flag)) }

    /// Notes the time of the latest block, in ms since 1970.
    func advanced(to timestamp: UInt64) {
        rhythm.committed(at: Reactor.now)
        driver.submit(.advanced(to: timestamp))
    }

    /// Follows a change of role or parameters.
    func follow(_ rules: Rules) {
        self.rules = rules
        driver.submit(
            .rules(isLeader: rules.isLeader, isFree: rules.parameters.disabledGasCosts))
    }

    /// Starts exchanging transactions with a peer of this chain.
    func peerReady(_ peer: PeerID) {
        exchange?.peerReady(peer)
        driver.submit(.peerReady(peer))
    }

    /// Forgets a peer without connections.
    func peerLeft(_ peer: PeerID) {
        exchange?.peerLeft(peer)
        driver.submit(.peerLeft(peer))
    }
}
