import Bytes
import Chain
import Collections
import Crypto
import Execution
import Mempool
import Multiformats
import Protocols
import Reactor
import Storage

/// Drives the mempool, which lives on a worker of its own: has what clients and peers bring checked on another worker, and
/// tells the exchange of what is to be announced.
///
/// A blocks-only node (`mempool.enabled = false`) takes no transactions at all.
@ReactorActor
final class MempoolService: TransactionSource {
    /// Transactions that one job checks: some milliseconds of signatures.
    nonisolated static let batch = 128

    typealias Outcome = Result<Transaction, MempoolError>

    /// A transaction that has come.
    struct Arrival: Sendable {
        let id: Hash
        /// Whether a client of this node has sent it.
        let isOwn: Bool
        let bytes: SharedBytes
    }

    let context: NodeContext
    let driver: MachineDriver<Mempool>
    private var exchange: TransactionExchange?
    private(set) lazy var checks = Gathering<Arrival, Outcome>(most: Self.batch) { [weak self] in
        await self?.check($0) ?? []
    }
    /// What the file of the last run has and the mempool has not been given yet.
    var restoration = Restoration.over
    private(set) var isStopped = false
    /// What the mempool has told last of how much it keeps.
    private(set) var contents = Mempool.Contents.none
    /// How often it has told.
    private(set) var changes = 0

    /// Told how many transactions could go into a block now.
    var onChange: ((Int) -> Void)?
    /// Whether this node makes the blocks.
    var isLeader: () -> Bool = { false }
    /// The limits of the next block.
    var parameters: () -> NetworkParameters
    /// Whether a peer is a validator, named by the operator, or dialled by this node.
    var isTrusted: (PeerID) -> Bool = { _ in false }

    init(_ context: NodeContext) {
        self.context = context
        var limits = MempoolLimits()
        limits.bytes = context.configuration.mempool.maxSize
        limits.firstInterval = context.configuration.mempool.reannounceInterval
        driver = MachineDriver(
            Mempool(limits), on: context.mempool, wallClock: context.wallClock,
            onBrokenInvariant: context.observer.broken)
        let parameters = context.genesis.parameters
        self.parameters = { parameters }
    }

    func start(_ exchange: TransactionExchange) {
        self.exchange = exchange
        driver.start { [weak self] in self?.perform($0) }
        tellRules()
        exchange.start()
        beginRestoring()
    }

    func stop() {
        isStopped = true
        exchange?.stop()
        exchange = nil
    }

    /// Ends as a crash does.
    func abandon() {
        stop()
        driver.abandon()
    }

    private func perform(_ action: Mempool.Action) {
        switch action {
        case .announce(let ids, nil): exchange?.announce(ids)
        case .announce(let ids, let peer?): exchange?.announce(ids, to: peer)
        case .pause: exchange?.pause()
        case .resume: exchange?.resume()
        case .changed(let contents):
            self.contents = contents
            changes &+= 1
            onChange?(contents.readyCount)
        }
    }

    // MARK: TransactionSource

    func wanted(_ ids: [Hash]) async -> [Hash] {
        let store = context.store
        let wanted = try? await driver.ask { mempool, _, _ in mempool.wanted(ids) { store.isMined($0) } }
        return wanted ?? []
    }

    /// What waits from the mempool, what was mined from the block log.
    func transactions(_ ids: [Hash], bytes limit: Int) async -> [SharedBytes?] {
        let waiting = try? await driver.ask { mempool, _, _ in mempool.transactions(ids) }
        guard let waiting else { return ids.map { _ in nil } }
        if waiting.count == ids.count { return ids.contents(of: limit) { waiting[$0]?.bytes } }
        let store = context.store
        let found = try? await context.serving.run {
            ids.contents(of: limit) { id in
                waiting[id]?.bytes ?? (try? store.transaction(id)).flatMap { $0?.bytes }
            }
        }
        return found ?? ids.map { _ in nil }
    }

    func receive(_ transactions: [(id: Hash, bytes: SharedBytes)], from peer: PeerID) async -> Bool {
        await take(transactions).allSatisfy { outcome in
            guard case .failure(let error) = outcome else { return true }
            return !error.isForgery
        }
    }

    func trusts(_ peer: PeerID) -> Bool { isTrusted(peer) }

    /// What no block could hold is not worth keeping.
    var transactionLimit: Int { parameters().transactionLimit }

    // MARK: Admission

    /// Takes transactions from a client: they are announced by every node, the leader included. One outcome each, in
    /// order.
    func submit(_ transactions: [SharedBytes]) async -> [Outcome] {
        await checks.run(transactions.map { Arrival(id: .sha256(of: $0), isOwn: true, bytes: $0) })
    }

    /// Takes transactions that clients of this node have not sent. One outcome each, in order; `.duplicate` for what is not
    /// worth a check.
    func take(_ transactions: [(id: Hash, bytes: SharedBytes)]) async -> [Outcome] {
        var outcomes: [Outcome] = Array(repeating: .failure(.duplicate), count: transactions.count)
        let (ids, store) = (transactions.map(\.id), context.store)
        guard let begun = try? await driver.ask({ mempool, _, _ in mempool.begin(ids) { store.isMined($0) } })
        else { return ids.map { _ in .failure(.full) } }
        let arrivals = begun.map { Arrival(id: ids[$0], isOwn: false, bytes: transactions[$0].bytes) }
        for (place, outcome) in zip(begun, await checks.run(arrivals)) { outcomes[place] = outcome }
        return outcomes
    }

    /// Checks a batch and gives it to the mempool.
    private func check(_ batch: [Arrival]) async -> [Outcome] {
        let check = TransactionCheck(chainID: context.genesis.chainID, maxBytes: transactionLimit)
        let (application, store) = (context.application, context.store)
        let checked = try? await context.checks.run { batch.map { $0.checked(check, application) } }
        let results = checked ?? batch.map { CheckedTransaction($0.id, isOwn: $0.isOwn, .failure(.full)) }
        let outcomes = try? await driver.ask { mempool, now, actions in
            mempool.admit(results, isMined: { store.isMined($0) }, at: now, actions: &actions)
        }
        return outcomes ?? batch.map { _ in .failure(.full) }
    }

    // MARK: Questions

    /// A transaction that waits.
    func waiting(_ id: Hash) async -> Transaction? {
        (try? await driver.ask { mempool, _, _ in mempool.transaction(id) }) ?? nil
    }

    /// The nonce of the account's last transaction here that a block could hold; nil when none of it waits.
    func pendingNonce(_ account: AccountID) async -> UInt64? {
        (try? await driver.ask { mempool, _, _ in mempool.pendingNonce(account) }) ?? nil
    }

    /// Transactions for the next block.
    func propose(maxBytes: Int, maxCount: Int = .max) async -> [Transaction] {
        let proposed = try? await driver.ask { mempool, _, _ in
            mempool.propose(maxBytes: maxBytes, maxCount: maxCount)
        }
        return proposed ?? []
    }

    /// Those of `ids` whose signatures this node has checked.
    func checked(_ ids: [Hash]) async -> [Hash: Transaction] {
        (try? await driver.ask { mempool, _, _ in mempool.transactions(ids) }) ?? [:]
    }

    // MARK: Events

    /// A block was committed: its transactions are gone, and the rest is held against the new nonces and balances.
    func committed(_ ids: [Hash], _ accounts: [ExecutionResult.ChangedAccount]) {
        guard context.configuration.mempool.isEnabled else { return }
        driver.submit(.committed(ids, accounts))
    }

    func drop(_ ids: [Hash]) { driver.submit(.dropped(ids)) }

    /// The node begins to catch up (true), or has done so.
    func syncing(_ flag: Bool) { driver.submit(.syncing(flag)) }

    /// A block of this time, ms since 1970, is the newest now, and its rules hold.
    func advanced(to timestamp: UInt64) {
        tellRules()
        driver.submit(.advanced(to: timestamp))
    }

    /// Tells the mempool who leads, and whether transactions cost nothing.
    func tellRules() {
        driver.submit(.rules(isLeader: isLeader(), isFree: parameters().disabledGasCosts))
    }

    func peerReady(_ peer: PeerID) { driver.submit(.peerReady(peer)) }

    func peerLeft(_ peer: PeerID) { driver.submit(.peerLeft(peer)) }
}

extension MempoolService.Arrival {
    /// The check on a worker, and the account that the transaction spends from.
    fileprivate func checked(_ check: TransactionCheck, _ application: any Application) -> CheckedTransaction
    {
        do throws(MempoolError) {
            let transaction = try check.check(bytes)
            let account = transaction.account.flatMap { (try? application.account($0)) ?? nil } ?? Account()
            return CheckedTransaction(
                id, isOwn: isOwn, .success(transaction), nonce: account.nonce, balance: account.balance)
        } catch {
            return CheckedTransaction(id, isOwn: isOwn, .failure(error))
        }
    }
}

extension BlockStore {
    /// Whether a transaction was mined, as far as the index can tell. Off the reactor.
    fileprivate func isMined(_ id: Hash) -> Bool { (try? contains(id)) ?? false }
}

extension [Hash] {
    /// What `bytes` gives for the first of these, until `limit` bytes are reached.
    fileprivate func contents(of limit: Int, _ bytes: (Hash) -> SharedBytes?) -> [SharedBytes?] {
        var found: [SharedBytes?] = []
        var total = 0
        for id in self where total < limit {
            let bytes = bytes(id)
            total += bytes?.count ?? 0
            found.append(bytes)
        }
        return found
    }
}
