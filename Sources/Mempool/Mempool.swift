import Chain
import Collections
import Crypto
import Multiformats
import Reactor

/// The unconfirmed transactions: decides which of them the node fetches, keeps, announces, proposes and drops.
///
/// By the requirements' rules every node announces its clients' transactions and relays those that it has fetched and
/// checked, except the leader, where all transactions end up: it announces only its clients' own. While the node is
/// far behind, it neither fetches announced transactions nor relays any.
public struct Mempool: Machine {
    /// An event other than a question.
    public enum Event: MachineEvent {
        /// Whether this node is the leader, and whether transactions are free.
        case rules(isLeader: Bool, isFree: Bool)
        /// A block was committed, with these transactions and changed accounts.
        case committed([Hash], [ExecutionResult.ChangedAccount])
        /// The newest block now has this time, in ms since 1970.
        case advanced(to: UInt64)
        /// A consensus reset drops these transactions.
        case dropped([Hash])
        /// The operator has changed the limits. The intervals stay.
        case limits(MempoolLimits)
        /// The node starts (true) or stops syncing.
        case syncing(Bool)
        /// The peer is ready for announcements.
        case peerReady(PeerID)
        /// The peer has disconnected.
        case peerLeft(PeerID)
        /// The deadline has passed.
        case timer
    }

    /// An action of the mempool.
    public enum Action: Equatable, Sendable {
        /// Announce transactions to all peers.
        case announce([Hash])
        /// Announce long transactions of clients to peers that pass them on to the others.
        case spread([Hash])
        /// Announce to a peer what waits here: all that `backlog` returns.
        case tell(PeerID)
        /// Stop fetching announced transactions.
        case pause
        /// Resume fetching, including transactions announced meanwhile.
        case resume
        /// The contents have changed.
        case changed(Contents)
        /// Transactions have been dropped that might still be mined.
        case lost([Loss])
    }

    /// The amount of transactions in the mempool.
    public struct Contents: Equatable, Sendable {
        /// The number of transactions.
        public let count: Int
        /// The number of transactions that a block could include now.
        public let readyCount: Int
        /// The size of all transactions, in bytes.
        public let bytes: Int
        /// About how many more are worth fetching: those that a block could include find room, and displace no other such.
        public let room: Int
    }

    enum Timer: Hashable {
        /// Announce transactions again, or drop expired ones.
        case upkeep
        /// No block has arrived for so long that the node no longer counts as far behind.
        case doubt
    }

    /// The maximum number of refused transactions remembered, so that they are not fetched again.
    static let rememberedRefusals = 10_000
    /// The maximum number of accounts whose newest nonce is remembered, because checks may have read the state before
    /// a commit.
    static let rememberedNonces = 100_000
    /// The size of a client's transaction, in bytes, from which its peers pass it on to each other: sending it to each would cost
    /// much more than a second announcement, and more than the delay matters.
    static let longTransaction = 16 << 10
    /// The minimum interval between two runs of upkeep.
    static let upkeepPause = Duration.milliseconds(100)

    private(set) var pool: TransactionPool
    /// Peers' transactions that are being checked.
    private(set) var inCheck: Set<Hash> = []
    private var refused: OrderedSet<Hash> = []
    private var nonces: OrderedDictionary<AccountID, UInt64> = [:]
    private var isLeader = false
    private var isFree = true
    private var farBehind = FarBehind()
    private var isPaused = false
    /// The peers that are ready for announcements.
    private var peers: Set<PeerID> = []
    /// Peers that connected while the node was far behind, to which nothing has been announced yet.
    private var untold: OrderedSet<PeerID> = []
    private var lastUpkeep: Duration?
    private var timers = TimerTable<Timer>()

    /// Creates an empty mempool.
    public init(_ limits: MempoolLimits = MempoolLimits()) { pool = TransactionPool(limits) }

    /// When the event `timer` is due; nil for never.
    public var deadline: Duration? { timers.deadline }

    /// Handles one event and appends the resulting actions.
    public mutating func handle(_ event: Event, at now: Instant, actions: inout [Action]) {
        let before = contents
        switch event {
        case .rules(let isLeader, let isFree): (self.isLeader, self.isFree) = (isLeader, isFree)
        case .committed(let ids, let accounts):
            commit(ids, accounts)
            actions.append(.changed(contents))
        case .dropped(let ids): pool.remove(ids)
        case .limits(let limits): pool.limit(to: limits)
        case .advanced(let timestamp):
            farBehind.committed(timestamp: timestamp, wallClock: now.wallClock, now: now.elapsed)
            look(now, &actions)
        case .syncing(let flag):
            farBehind.syncing(flag, now: now.elapsed)
            look(now, &actions)
        case .peerReady(let peer):
            peers.insert(peer)
            if isPaused { untold.append(peer) } else { actions.append(.tell(peer)) }
        case .peerLeft(let peer):
            peers.remove(peer)
            untold.remove(peer)
            pool.endWalk(of: peer)
        case .timer: ring(now, &actions)
        }
        tellLosses(&actions)
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

    /// Returns the transactions in `ids` that are worth fetching, in order: those neither kept nor being checked, not
    /// refused lately, and for which `isMined` is false.
    public func wanted(_ ids: [Hash], isMined: (Hash) -> Bool) -> [Hash] {
        ids.filter { isWanted($0, isMined) }
    }

    private func isWanted(_ id: Hash, _ isMined: (Hash) -> Bool) -> Bool {
        !refused.contains(id) && !pool.contains(id) && !inCheck.contains(id) && !isMined(id)
    }

    /// Notes that a peer has sent transactions. Returns the indexes in `ids` of those to check and then pass to
    /// `admit`, whatever the result. Clients' transactions go to `admit` directly, which saves a step.
    public mutating func begin(_ ids: [Hash], isMined: (Hash) -> Bool) -> [Int] {
        ids.indices.filter { index in
            let id = ids[index]
            guard isWanted(id, isMined) else { return false }
            inCheck.insert(id)
            return true
        }
    }

    /// Keeps new transactions that have passed their check. Returns one result each, in order. Calls `isMined` for
    /// clients' transactions only, because `begin` has called it for the others.
    public mutating func admit(
        _ checked: [CheckedTransaction], isMined: (Hash) -> Bool, at now: Instant, actions: inout [Action]
    ) -> [Result<Transaction, MempoolError>] {
        var (announced, spread): ([Hash], [Hash]) = ([], [])
        let outcomes = checked.map { item -> Result<Transaction, MempoolError> in
            inCheck.remove(item.id)
            do throws(MempoolError) {
                let transaction = try keep(item, isMined: isMined, at: now.elapsed)
                if item.isOwn, transaction.bytes.count >= Self.longTransaction {
                    spread.append(item.id)
                } else if !isLeader || item.isOwn {
                    announced.append(item.id)
                }
                return .success(transaction)
            } catch {
                if error.isPermanent { remember(refusal: item.id) }
                return .failure(error)
            }
        }
        if !announced.isEmpty { actions.append(.announce(announced)) }
        if !spread.isEmpty { actions.append(.spread(spread)) }
        tellLosses(&actions)
        actions.append(.changed(contents))
        arm()
        return outcomes
    }

    private mutating func tellLosses(_ actions: inout [Action]) {
        let losses = pool.takeLosses()
        if !losses.isEmpty { actions.append(.lost(losses)) }
    }

    private mutating func keep(
        _ item: CheckedTransaction, isMined: (Hash) -> Bool, at now: Duration
    ) throws(MempoolError) -> Transaction {
        let transaction = try item.check.get()
        if item.isOwn {
            // A client has sent it too, although a peer was first.
            pool.markOwn(item.id)
            if isMined(item.id) { throw .duplicate }
        }
        let newest = transaction.account.flatMap { nonces[$0] } ?? 0
        try pool.admit(
            transaction, accountNonce: max(item.nonce, newest), balance: isFree ? nil : item.balance,
            isOwn: item.isOwn, now: now)
        return transaction
    }

    private mutating func remember(refusal id: Hash) {
        refused.append(id)
        if refused.count > Self.rememberedRefusals { refused.removeFirst(Self.rememberedRefusals / 2) }
    }

    /// Returns why there is no room for a transaction; nil if there may be. Ask it before the check of the signature, which
    /// costs a hundred times as much. What it refuses need not be genuine.
    public func refusal(of transaction: Transaction) -> MempoolError? { pool.refusal(of: transaction) }

    // MARK: Questions

    /// The amount of transactions in the mempool.
    public var contents: Contents {
        Contents(
            count: pool.count, readyCount: pool.readyCount, bytes: pool.bytes,
            room: pool.room)
    }

    /// All transactions, ready ones first, and whether a client of this node has sent them.
    public var all: [(transaction: Transaction, isOwn: Bool)] { pool.all }

    /// Returns a transaction that is in the mempool, or nil.
    public func transaction(_ id: Hash) -> Transaction? { pool.transaction(id) }

    /// Returns the transactions in `ids` that are in the mempool, whose signatures this node has checked.
    public func transactions(_ ids: [Hash]) -> [Hash: Transaction] {
        var found: [Hash: Transaction] = [:]
        found.reserveCapacity(min(ids.count, pool.count))
        for id in ids { if let transaction = pool.transaction(id) { found[id] = transaction } }
        return found
    }

    /// Adds to a block what it lacks and is in the mempool, whose signatures this node has checked.
    public func supply(_ assembly: inout BlockAssembly) { pool.supply(&assembly) }

    /// Returns ready transactions in an order that a block can have, with a total size of up to `maxBytes`.
    public func propose(maxBytes: Int, maxCount: Int) -> [Transaction] {
        pool.propose(maxBytes: maxBytes, maxCount: maxCount)
    }

    /// Returns the nonce of the account's last transaction that a block could include; nil when the mempool has none.
    public func pendingNonce(_ account: AccountID) -> UInt64? { pool.nextNonce(account).map { $0 &- 1 } }

    // MARK: Announcements

    /// Returns the next ready transactions, at most `most`, to announce to a peer, which may be the leader with an empty
    /// mempool or a path to it; from the first one on if `isFirst`. `isLast` is true when all that were ready then have
    /// been returned. Returns none while the node is far behind: another `tell` follows.
    public mutating func backlog(
        for peer: PeerID, isFirst: Bool, most: Int
    ) -> (ids: [Hash], isLast: Bool) {
        guard peers.contains(peer) else { return ([], true) }
        guard !isPaused else {
            untold.append(peer)
            return ([], true)
        }
        if isFirst { pool.beginWalk(of: peer) }
        let (ids, isLast) = pool.walk(peer, most: most)
        return (isLeader ? ids.filter(pool.isOwn) : ids, isLast)
    }

    // MARK: Time

    private mutating func ring(_ now: Instant, _ actions: inout [Action]) {
        while let timer = timers.popDue(now.elapsed) {
            switch timer {
            case .doubt: look(now, &actions)
            case .upkeep:
                lastUpkeep = now.elapsed
                pool.expire(now: now.elapsed)
                if !isPaused { announceAgain(pool.due(now: now.elapsed), &actions) }
            }
        }
    }

    private func announceAgain(_ ids: [Hash], _ actions: inout [Action]) {
        let told = isLeader ? ids.filter(pool.isOwn) : ids
        if !told.isEmpty { actions.append(.announce(told)) }
    }

    /// Pauses the exchange of transactions when the node is far behind, and resumes it afterwards.
    private mutating func look(_ now: Instant, _ actions: inout [Action]) {
        let isFar = farBehind.isFar(now: now.elapsed)
        timers.arm(.doubt, at: isFar ? farBehind.deadline : nil)
        guard isFar != isPaused else { return }
        isPaused = isFar
        actions.append(isFar ? .pause : .resume)
        guard !isFar else { return }
        for peer in untold { actions.append(.tell(peer)) }
        untold = []
    }

    private mutating func arm() {
        let due = isPaused ? pool.nextExpiry : pool.nextDeadline
        timers.arm(
            .upkeep,
            at: due.map { due in lastUpkeep.map { max($0 + Self.upkeepPause, due) } ?? due })
    }

    /// Throws if the state is inconsistent.
    public func checkInvariants() throws(BrokenInvariant) {
        try pool.checkInvariants()
        try BrokenInvariant.check(
            !inCheck.contains(where: pool.contains), "a transaction that is kept is in check again")
        try BrokenInvariant.check(
            refused.count <= Self.rememberedRefusals && nonces.count <= Self.rememberedNonces,
            "\(refused.count) refusals and \(nonces.count) nonces are remembered")
        try BrokenInvariant.check(isPaused || untold.isEmpty, "\(untold.count) peers lack announcements")
        try BrokenInvariant.check(
            peers.isSuperset(of: pool.walks.keys), "a peer that has left is told of transactions")
        try BrokenInvariant.check(
            (timers[.doubt] != nil) == isPaused, "the node is far behind and nothing ends that")
        try BrokenInvariant.check(
            pool.count == 0 || timers[.upkeep] != nil, "nothing looks after \(pool.count) transactions")
    }
}

/// The result of a transaction's check (`TransactionCheck`), with its account in the committed state.
public struct CheckedTransaction: Sendable {
    let id: Hash
    let isOwn: Bool
    let check: Result<Transaction, MempoolError>
    let nonce: UInt64
    let balance: Amount

    /// Creates the result of checking the transaction `id`. `isOwn` is true if a client of this node has sent it. An
    /// unknown account has nonce 0 and no balance.
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

    /// Whether an honest node would not have relayed the transaction.
    public var isForgery: Bool {
        if case .refused = self { true } else { false }
    }
}
