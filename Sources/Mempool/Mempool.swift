import Chain
import Collections
import Crypto
import Multiformats
import Reactor

/// Unconfirmed transactions: which of them a node wants, keeps, announces and to whom, proposes, and drops.
///
/// The requirements' transaction rules: every node announces its own and passes on what it fetched and checked; the
/// leader, to whom all transactions run, announces only those that clients gave to it. While the node is far behind, it
/// neither fetches what is announced nor passes anything on.
public struct Mempool: Machine {
    /// What can happen to it, beside questions.
    public enum Event: MachineEvent {
        /// Whether this node makes the blocks, and whether transactions cost nothing.
        case rules(isLeader: Bool, isFree: Bool)
        /// A block was committed: its transactions, and the accounts that it touched.
        case committed([Hash], [ExecutionResult.ChangedAccount])
        /// A block of this time, ms since 1970, is the newest now.
        case advanced(to: UInt64)
        /// Transactions are to be dropped, as a consensus reset asks.
        case dropped([Hash])
        /// The node begins to catch up (true), or has done so.
        case syncing(Bool)
        /// A peer can be told of transactions now.
        case peerReady(PeerID)
        /// The peer is gone.
        case peerLeft(PeerID)
        /// The deadline has passed.
        case timer
    }

    /// What it wants done.
    public enum Action: Equatable, Sendable {
        /// Announces transactions to a peer, or to all without one.
        case announce([Hash], to: PeerID?)
        /// Fetches nothing more that is announced.
        case pause
        /// Fetches again, also what was announced meanwhile.
        case resume
        /// So much is kept now.
        case changed(Contents)
    }

    /// How much is kept.
    public struct Contents: Equatable, Sendable {
        /// Transactions.
        public let count: Int
        /// Of these, the ones that a block could take now.
        public let readyCount: Int
        /// Bytes of all.
        public let bytes: Int

        /// What an empty mempool holds.
        public static let none = Contents(count: 0, readyCount: 0, bytes: 0)
    }

    enum Timer: Hashable {
        /// Transactions are to be announced again, or have waited too long.
        case upkeep
        /// No block has come for so long that the node counts as near the tip.
        case doubt
    }

    /// Refused transactions that are remembered, so that they are not fetched again.
    static let rememberedRefusals = 10_000
    /// Accounts whose newest nonce is remembered, against checks that read the state before a commit.
    static let rememberedNonces = 100_000
    /// Transactions that a new peer is told of at most; the rest comes when it is announced again.
    static let toldAtOnce = 10_000
    /// Between two looks at what is due.
    static let upkeepPause = Duration.milliseconds(100)

    private(set) var pool: TransactionPool
    /// Transactions of peers whose check has begun.
    private(set) var inCheck: Set<Hash> = []
    private var refused: OrderedSet<Hash> = []
    private var nonces: OrderedDictionary<AccountID, UInt64> = [:]
    private var isLeader = false
    private var isFree = true
    private var farBehind = FarBehind()
    private var isPaused = false
    /// Peers that came while the node was far behind, and do not know yet what waits.
    private var untold: OrderedSet<PeerID> = []
    private var lastUpkeep: Duration?
    private var timers = TimerTable<Timer>()

    /// An empty mempool.
    public init(_ limits: MempoolLimits = MempoolLimits()) { pool = TransactionPool(limits) }

    /// When it wants the event `timer`.
    public var deadline: Duration? { timers.deadline }

    /// Takes one event and appends what is to be done about it.
    public mutating func handle(_ event: Event, at now: Instant, actions: inout [Action]) {
        let before = contents
        switch event {
        case .rules(let isLeader, let isFree): (self.isLeader, self.isFree) = (isLeader, isFree)
        case .committed(let ids, let accounts):
            commit(ids, accounts)
            actions.append(.changed(contents))
        case .dropped(let ids): pool.remove(ids)
        case .advanced(let timestamp):
            farBehind.committed(timestamp: timestamp, wallClock: now.wallClock, now: now.elapsed)
            look(now, &actions)
        case .syncing(let flag):
            farBehind.syncing(flag, now: now.elapsed)
            look(now, &actions)
        case .peerReady(let peer): if isPaused { untold.append(peer) } else { tell(peer, &actions) }
        case .peerLeft(let peer): untold.remove(peer)
        case .timer: ring(now, &actions)
        }
        if contents != before, actions.last != .changed(contents) { actions.append(.changed(contents)) }
        arm()
    }

    private mutating func commit(_ ids: [Hash], _ accounts: [ExecutionResult.ChangedAccount]) {
        for account in accounts { nonces[account.id] = account.nonce }
        if nonces.count > Self.rememberedNonces {
            nonces.removeFirst(nonces.count - Self.rememberedNonces / 2)
        }
        pool.commit(ids, nonces: accounts.map { ($0.id, $0.nonce) })
        guard !isFree else { return }
        for account in accounts { pool.drop(beyond: account.balance, of: account.id) }
    }

    // MARK: Admission

    /// Those of `ids` that are worth fetching, in order: they neither wait nor are being checked, were not refused lately,
    /// and `isMined` does not hold for them.
    public func wanted(_ ids: [Hash], isMined: (Hash) -> Bool) -> [Hash] {
        ids.filter { !refused.contains($0) && !isHere($0) && !isMined($0) }
    }

    private func isHere(_ id: Hash) -> Bool { pool.contains(id) || inCheck.contains(id) }

    /// Notes that a peer has sent transactions. Returns the places in `ids` of those that are to be checked now and then
    /// handed to `admit`, whatever the check says. What clients send comes to `admit` without this, for it to be there sooner.
    public mutating func begin(_ ids: [Hash], isMined: (Hash) -> Bool) -> [Int] {
        ids.indices.filter { index in
            let id = ids[index]
            guard !refused.contains(id), !isHere(id), !isMined(id) else { return false }
            inCheck.insert(id)
            return true
        }
    }

    /// Keeps what has passed its check and is new. One outcome each, in order. `isMined` is asked of clients' transactions
    /// only: of the others `begin` has asked.
    public mutating func admit(
        _ checked: [CheckedTransaction], isMined: (Hash) -> Bool, at now: Instant, actions: inout [Action]
    ) -> [Result<Transaction, MempoolError>] {
        var announced: [Hash] = []
        let outcomes = checked.map { item -> Result<Transaction, MempoolError> in
            inCheck.remove(item.id)
            do throws(MempoolError) {
                let transaction = try keep(item, isMined: isMined, at: now.elapsed)
                if !isLeader || item.isOwn { announced.append(item.id) }
                return .success(transaction)
            } catch {
                if error.isPermanent { remember(refusal: item.id) }
                return .failure(error)
            }
        }
        if !announced.isEmpty { actions.append(.announce(announced, to: nil)) }
        actions.append(.changed(contents))
        arm()
        return outcomes
    }

    private mutating func keep(
        _ item: CheckedTransaction, isMined: (Hash) -> Bool, at now: Duration
    ) throws(MempoolError) -> Transaction {
        let transaction = try item.check.get()
        if item.isOwn {
            // The client's, though a peer has brought it first.
            pool.markOwn(item.id)
            if isMined(item.id) { throw .duplicate }
        }
        let newest = transaction.account.flatMap { nonces[$0] } ?? 0
        _ = try pool.admit(
            transaction, accountNonce: max(item.nonce, newest), balance: isFree ? nil : item.balance,
            isOwn: item.isOwn, now: now)
        return transaction
    }

    private mutating func remember(refusal id: Hash) {
        refused.append(id)
        if refused.count > Self.rememberedRefusals { refused.removeFirst(Self.rememberedRefusals / 2) }
    }

    // MARK: Questions

    /// How much is kept.
    public var contents: Contents {
        Contents(count: pool.count, readyCount: pool.readyCount, bytes: pool.bytes)
    }

    /// All transactions, the ready ones first, and whether a client of this node has sent them.
    public var all: [(transaction: Transaction, isOwn: Bool)] { pool.all }

    /// A transaction that waits.
    public func transaction(_ id: Hash) -> Transaction? { pool.transaction(id) }

    /// Those of `ids` that wait: this node has checked their signatures.
    public func transactions(_ ids: [Hash]) -> [Hash: Transaction] {
        var found: [Hash: Transaction] = [:]
        found.reserveCapacity(min(ids.count, pool.count))
        for id in ids { if let transaction = pool.transaction(id) { found[id] = transaction } }
        return found
    }

    /// Ready transactions in an order in which a block can hold them, of at most `maxBytes` together.
    public func propose(maxBytes: Int, maxCount: Int) -> [Transaction] {
        pool.propose(maxBytes: maxBytes, maxCount: maxCount)
    }

    /// The nonce of the account's last transaction here that a block could hold; nil when none of it waits.
    public func pendingNonce(_ account: AccountID) -> UInt64? { pool.nextNonce(account).map { $0 &- 1 } }

    // MARK: Announcements

    /// Tells a new peer of what waits: it may be the leader, back with an empty mempool, or the way to it.
    private func tell(_ peer: PeerID, _ actions: inout [Action]) {
        announce(pool.propose(maxBytes: .max, maxCount: Self.toldAtOnce).map(\.id), to: peer, &actions)
    }

    private func announce(_ ids: [Hash], to peer: PeerID?, _ actions: inout [Action]) {
        let told = isLeader ? ids.filter(pool.isOwn) : ids
        if !told.isEmpty { actions.append(.announce(told, to: peer)) }
    }

    // MARK: Time

    private mutating func ring(_ now: Instant, _ actions: inout [Action]) {
        while let timer = timers.popDue(now.elapsed) {
            switch timer {
            case .doubt: look(now, &actions)
            case .upkeep:
                lastUpkeep = now.elapsed
                pool.expire(now: now.elapsed)
                if !isPaused { announce(pool.due(now: now.elapsed), to: nil, &actions) }
            }
        }
    }

    /// Pauses the exchange when the node is far behind, and resumes it when it no longer is.
    private mutating func look(_ now: Instant, _ actions: inout [Action]) {
        let isFar = farBehind.isFar(now: now.elapsed)
        timers.arm(.doubt, at: isFar ? farBehind.deadline : nil)
        guard isFar != isPaused else { return }
        isPaused = isFar
        actions.append(isFar ? .pause : .resume)
        guard !isFar else { return }
        for peer in untold { tell(peer, &actions) }
        untold = []
    }

    private mutating func arm() {
        let due = isPaused ? pool.nextExpiry : pool.nextDeadline
        timers.arm(
            .upkeep,
            at: due.map { due in lastUpkeep.map { max($0 + Self.upkeepPause, due) } ?? due })
    }

    /// Throws when the state contradicts itself.
    public func checkInvariants() throws(BrokenInvariant) {
        try pool.checkInvariants()
        try BrokenInvariant.check(
            !inCheck.contains(where: pool.contains), "a transaction that is kept is in check again")
        try BrokenInvariant.check(
            refused.count <= Self.rememberedRefusals && nonces.count <= Self.rememberedNonces,
            "\(refused.count) refusals and \(nonces.count) nonces are remembered")
        try BrokenInvariant.check(isPaused || untold.isEmpty, "\(untold.count) peers are not told")
        try BrokenInvariant.check(
            (timers[.doubt] != nil) == isPaused, "the node is far behind and nothing ends that")
        try BrokenInvariant.check(
            pool.count == 0 || timers[.upkeep] != nil, "nothing looks after \(pool.count) transactions")
    }
}

/// A transaction that was checked (`TransactionCheck`), and its account as it is in the committed state.
public struct CheckedTransaction: Sendable {
    let id: Hash
    let isOwn: Bool
    let check: Result<Transaction, MempoolError>
    let nonce: UInt64
    let balance: Amount

    /// What the check of the transaction `id` has brought, which a client of this node has sent if it is its own. An unknown
    /// account has nonce 0 and no balance.
    public init(
        _ id: Hash, isOwn: Bool, _ check: Result<Transaction, MempoolError>, nonce: UInt64 = 0,
        balance: Amount = .zero
    ) {
        self.id = id
        self.isOwn = isOwn
        self.check = check
        self.nonce = nonce
        self.balance = balance
    }
}

extension MempoolError {
    /// Whether the same bytes would be refused again, whatever happens on the chain.
    var isPermanent: Bool {
        switch self {
        case .refused, .tooLarge, .nonceTooLow: true
        default: false
        }
    }

    /// Whether an honest node would not have passed the transaction on.
    public var isForgery: Bool {
        if case .refused = self { true } else { false }
    }
}
