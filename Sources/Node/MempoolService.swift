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

/// Drives the mempool: checks what clients and peers bring on a worker, keeps and announces what passes, announces
/// again what stays unconfirmed, and takes out what was mined.
///
/// The requirements' transaction rules: every node announces its own and passes on what it fetched and checked; the
/// leader, to whom all transactions run, announces only those that clients gave to it. While the node catches up, it
/// neither fetches what is announced nor passes anything on. A blocks-only node (`mempool.enabled = false`) takes no
/// transactions at all.
@ReactorActor
final class MempoolService: TransactionSource {
    /// Transactions that one job checks: some milliseconds of signatures.
    nonisolated static let batch = 128
    /// Refused transactions that are remembered, so that they are not fetched again.
    private nonisolated static let rememberedRefusals = 10_000
    /// Transactions that a new peer is told of at most; the rest comes when it is announced again.
    private nonisolated static let toldAtOnce = 10_000
    /// Accounts whose newest nonce is remembered, against checks that read the state before a commit.
    private nonisolated static let rememberedNonces = 100_000

    typealias Outcome = Result<Transaction, MempoolError>

    struct Waiting {
        let bytes: SharedBytes
        let id: Hash
        /// Its place in `answer`.
        let index: Int
        let answer: Answer
    }

    /// What became of transactions that came together.
    @ReactorActor
    final class Answer {
        private var outcomes: [Outcome]
        private var left: Int
        private let done: CheckedContinuation<[Outcome], Never>

        fileprivate init(_ count: Int, _ done: CheckedContinuation<[Outcome], Never>) {
            outcomes = Array(repeating: .failure(.full), count: count)
            left = count
            self.done = done
        }

        fileprivate func set(_ index: Int, _ outcome: Outcome) {
            outcomes[index] = outcome
            left -= 1
            if left == 0 { done.resume(returning: outcomes) }
        }
    }

    let context: NodeContext
    private(set) var mempool: Mempool
    private var exchange: TransactionExchange?
    private(set) var waiting: [Waiting] = []
    private var isChecking = false
    private var inCheck: Set<Hash> = []
    private var refused: OrderedSet<Hash> = []
    private var nonces: OrderedDictionary<AccountID, UInt64> = [:]
    var local: Set<Hash> = []
    /// What the file of the last run has and the mempool has not been given yet.
    var restoration = Restoration.over
    private(set) var isStopped = false
    private var timer: Timer?
    private var farBehind = FarBehind()
    private var farBehindTimer: Timer?
    private var isCatchingUp = false
    /// Peers that came while the node caught up, and do not know yet what waits.
    private var untold: OrderedSet<PeerID> = []

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
        mempool = Mempool(limits)
        let parameters = context.genesis.parameters
        self.parameters = { parameters }
    }

    func start(_ exchange: TransactionExchange) {
        self.exchange = exchange
        exchange.start()
        schedule()
        beginRestoring()
    }

    func stop() {
        isStopped = true
        timer?.cancel()
        farBehindTimer?.cancel()
        exchange?.stop()
        exchange = nil
    }

    var count: Int { mempool.count }
    var bytes: Int { mempool.bytes }
    var readyCount: Int { mempool.readyCount }

    // MARK: TransactionSource

    func has(_ id: Hash) -> Bool {
        refused.contains(id) || isKnown(id)
    }

    /// Whether a transaction is in the mempool or on its way there.
    func isWaiting(_ id: Hash) -> Bool { mempool.contains(id) || inCheck.contains(id) }

    private func isKnown(_ id: Hash) -> Bool {
        if isWaiting(id) { return true }
        return (try? context.store.contains(id)) ?? false
    }

    func transaction(_ id: Hash) -> SharedBytes? { (try? known(id))??.bytes }

    /// A transaction that waits or was mined.
    func known(_ id: Hash) throws(StorageError) -> KnownTransaction? {
        if let waiting = mempool.transaction(id) {
            return KnownTransaction(bytes: waiting.bytes, height: -1, index: 0, result: nil)
        }
        return try context.store.transaction(id).map {
            KnownTransaction(
                bytes: $0.bytes, height: $0.height, index: UInt32(clamping: $0.index), result: $0.result)
        }
    }

    func receive(_ transactions: [(id: Hash, bytes: SharedBytes)], from peer: PeerID) async -> Bool {
        let fresh = transactions.filter { !has($0.id) }
        return await admit(fresh).allSatisfy { outcome in
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
    func submit(_ transactions: [SharedBytes]) async -> [Result<Transaction, MempoolError>] {
        var outcomes: [Outcome] = Array(repeating: .failure(.duplicate), count: transactions.count)
        var fresh: OrderedDictionary<Hash, Int> = [:]
        for (place, bytes) in transactions.enumerated() {
            let id = Hash.sha256(of: bytes)
            if fresh[id] == nil, !isKnown(id) { fresh[id] = place }
        }
        for id in fresh.keys { local.insert(id) }
        let admitted = await admit(fresh.map { (id: $0.key, bytes: transactions[$0.value]) })
        for ((id, place), outcome) in zip(fresh, admitted) {
            if case .failure = outcome { local.remove(id) }
            outcomes[place] = outcome
        }
        return outcomes
    }

    /// The nonce of the account's last transaction here that a block could hold; nil when none of it waits.
    func pendingNonce(_ account: AccountID) -> UInt64? { mempool.nextNonce(account).map { $0 &- 1 } }

    /// One outcome a transaction, in order.
    func admit(_ transactions: [(id: Hash, bytes: SharedBytes)]) async -> [Outcome] {
        guard !transactions.isEmpty else { return [] }
        return await withCheckedContinuation { continuation in
            let answer = Answer(transactions.count, continuation)
            for (index, transaction) in transactions.enumerated() {
                inCheck.insert(transaction.id)
                waiting.append(
                    Waiting(bytes: transaction.bytes, id: transaction.id, index: index, answer: answer))
            }
            guard !isChecking else { return }
            isChecking = true
            Reactor.spawn { await self.checkWaiting() }
        }
    }

    /// Checks what waits, a batch a job: under load each wake of the worker serves many transactions.
    private func checkWaiting() async {
        while !waiting.isEmpty {
            let batch = Array(waiting.prefix(Self.batch))
            waiting.removeFirst(batch.count)
            let check = TransactionCheck(chainID: context.genesis.chainID, maxBytes: transactionLimit)
            let application = context.application
            let bytes = batch.map(\.bytes)
            let checked = try? await context.checks.run {
                check.check(bytes).map { result in result.map { ($0, Self.account(of: $0, application)) } }
            }
            var announced: [Hash] = []
            let (isLeader, isFree) = (isLeader(), parameters().disabledGasCosts)
            for (index, item) in batch.enumerated() {
                inCheck.remove(item.id)
                let outcome = keep(checked?[index], item.id, isFree: isFree)
                switch outcome {
                case .success: if !isLeader || local.contains(item.id) { announced.append(item.id) }
                case .failure: local.remove(item.id)
                }
                item.answer.set(item.index, outcome)
            }
            if !announced.isEmpty { exchange?.announce(announced) }
            onChange?(mempool.readyCount)
            schedule()
        }
        isChecking = false
    }

    private nonisolated static func account(of transaction: Transaction, _ application: any Application)
        -> Account
    {
        guard let account = transaction.account else { return Account() }
        return (try? application.account(account)) ?? nil ?? Account()
    }

    private func keep(
        _ checked: Result<(Transaction, Account), MempoolError>?, _ id: Hash, isFree: Bool
    ) -> Outcome {
        guard let checked else { return .failure(.full) }
        do throws(MempoolError) {
            let (transaction, account) = try checked.get()
            let newest = transaction.account.flatMap { nonces[$0] } ?? 0
            let admission = try mempool.admit(
                transaction, accountNonce: max(account.nonce, newest),
                balance: isFree ? nil : account.balance, now: Reactor.now)
            for id in admission.evicted { local.remove(id) }
            return .success(transaction)
        } catch {
            if error.isPermanent { remember(refusal: id) }
            return .failure(error)
        }
    }

    private func remember(refusal id: Hash) {
        refused.append(id)
        if refused.count > Self.rememberedRefusals { refused.removeFirst(Self.rememberedRefusals / 2) }
    }

    // MARK: Blocks

    /// Transactions for the next block.
    func propose(maxBytes: Int, maxCount: Int = .max) -> [Transaction] {
        mempool.propose(maxBytes: maxBytes, maxCount: maxCount)
    }

    /// Those of `ids` whose signatures this node has checked.
    func checked(_ ids: [Hash]) -> [Hash: Transaction] {
        var found: [Hash: Transaction] = [:]
        found.reserveCapacity(ids.count)
        for id in ids { if let transaction = mempool.transaction(id) { found[id] = transaction } }
        return found
    }

    /// A block was committed: its transactions are gone, and the rest is held against the new nonces and balances.
    func committed(_ ids: [Hash], _ accounts: [ExecutionResult.ChangedAccount]) {
        guard context.configuration.mempool.isEnabled else { return }
        for account in accounts { nonces[account.id] = account.nonce }
        if nonces.count > Self.rememberedNonces {
            nonces.removeFirst(nonces.count - Self.rememberedNonces / 2)
        }
        var dropped = mempool.commit(ids, nonces: accounts.map { ($0.id, $0.nonce) })
        if !parameters().disabledGasCosts {
            for account in accounts { dropped += mempool.drop(beyond: account.balance, of: account.id) }
        }
        for id in ids { local.remove(id) }
        for id in dropped { local.remove(id) }
    }

    func drop(_ ids: [Hash]) {
        mempool.remove(ids)
        for id in ids { local.remove(id) }
    }

    // MARK: Time

    /// The node begins to catch up (true), or has done so.
    func syncing(_ flag: Bool) {
        farBehind.syncing(flag, now: Reactor.now)
        look()
    }

    /// A block of this time, ms since 1970, is the newest now.
    func advanced(to timestamp: UInt64) {
        farBehind.committed(timestamp: timestamp, wallClock: context.wallClock(), now: Reactor.now)
        look()
    }

    /// Pauses or resumes the exchange as the node is far behind or not.
    private func look() {
        farBehindTimer?.cancel()
        let isFar = farBehind.isFar(now: Reactor.now)
        if isFar, let deadline = farBehind.deadline {
            farBehindTimer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) { [weak self] in
                self?.look()
            }
        }
        guard isFar != isCatchingUp else { return }
        isCatchingUp = isFar
        if isFar {
            exchange?.pause()
        } else {
            exchange?.resume()
            for peer in untold { tell(peer) }
            untold = []
        }
        schedule()
    }

    private func schedule() {
        timer?.cancel()
        guard let deadline = isCatchingUp ? mempool.nextExpiry : mempool.nextDeadline else { return }
        timer = Reactor.schedule(after: max(.milliseconds(100), deadline - Reactor.now)) { [weak self] in
            self?.expireAndAnnounce()
        }
    }

    /// Tells a new peer of what waits: it may be the leader, back with an empty mempool, or the way to it.
    func peerReady(_ peer: PeerID) {
        if isCatchingUp { untold.append(peer) } else { tell(peer) }
    }

    func peerLeft(_ peer: PeerID) { untold.remove(peer) }

    private func tell(_ peer: PeerID) {
        let waiting = mempool.propose(maxBytes: .max, maxCount: Self.toldAtOnce).map(\.id)
        exchange?.announce(isLeader() ? waiting.filter { local.contains($0) } : waiting, to: peer)
    }

    private func expireAndAnnounce() {
        for id in mempool.expire(now: Reactor.now) { local.remove(id) }
        if !isCatchingUp {
            let due = mempool.due(now: Reactor.now)
            exchange?.announce(isLeader() ? due.filter { local.contains($0) } : due)
        }
        schedule()
    }
}

extension MempoolError {
    /// Whether the same bytes would be refused again, whatever happens on the chain.
    fileprivate var isPermanent: Bool {
        switch self {
        case .refused, .tooLarge, .nonceTooLow: true
        default: false
        }
    }

    /// Whether an honest node would not have passed the transaction on.
    fileprivate var isForgery: Bool {
        switch self {
        case .refused: true
        default: false
        }
    }
}
