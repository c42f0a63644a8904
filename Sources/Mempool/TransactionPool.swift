import Chain
import Collections
import Crypto
import Multiformats

/// The transactions that wait for a block, in an order in which blocks can include them. Callers pass the time.
///
/// A transaction is *ready* when its nonce follows the account's or that of another ready transaction of the sender;
/// otherwise it is *gapped*. Ready transactions are proposed in the order in which they became ready, which for one
/// sender is the order of nonces.
///
/// A full pool makes room by the rules of `TransactionPool+Room.swift`. No transaction replaces another with its nonce.
///
/// Every operation takes constant time for each transaction that it touches.
struct TransactionPool {
    struct Entry {
        let transaction: Transaction
        let account: AccountID
        var isReady: Bool
        /// How many transactions had become ready when this one last did.
        var readiness: UInt64 = 0
        /// Whether a client of this node has sent it.
        var isOwn: Bool
        let arrived: Duration
        var announcementLevel: Int
        var nextAnnouncement: Duration
    }

    struct Sender {
        /// The sender's number in `Place`.
        let number: UInt64
        /// The account's nonce, which is that of its last mined transaction.
        var nonce: UInt64
        /// The first nonce without a ready transaction.
        var next: UInt64
        /// An upper bound of the sender's nonces in the pool.
        var highest: UInt64
        /// The number of the sender's transactions.
        var count = 0
        /// The size of the sender's transactions, in bytes.
        var bytes = 0
    }

    /// A sender and a nonce, which identify at most one transaction.
    struct Place: Hashable {
        let sender: UInt64
        let nonce: UInt64
    }

    static let readyList = 0
    static let gappedList = 1

    var limits: MempoolLimits
    /// The size of all transactions together, in bytes.
    private(set) var bytes = 0
    private(set) var gappedBytes = 0
    private(set) var gappedCount = 0

    var entries: [Entry?] = []
    private(set) var free: [Int32] = []
    private(set) var slots: [Hash: Int32] = [:]
    private(set) var senders: [AccountID: Sender] = [:]
    /// The senders that hold more than their `share`.
    private(set) var large: OrderedSet<AccountID> = OrderedSet()
    /// Transactions dropped against their clients' wishes, since they were last taken.
    private var losses: [Loss] = []
    private var sendersSeen: UInt64 = 0
    private(set) var places: [Place: Int32] = [:]
    /// The ready and the gapped transactions, each in the order in which they became so.
    private(set) var order = SlotLists(count: 2)
    /// How often a transaction has become ready.
    private(set) var readiness: UInt64 = 0
    /// The walks that have not ended.
    var walks: [PeerID: Walk] = [:]
    /// All transactions in the order of arrival.
    var arrivals = SlotLists(count: 1)
    /// Transactions by the number of announcements made. All of a level wait equally long, so each list is ordered by
    /// time.
    var announcements: SlotLists
    let intervals: [Duration]

    init(_ limits: MempoolLimits = MempoolLimits()) {
        self.limits = limits
        var intervals = [limits.firstInterval]
        while let last = intervals.last, last < limits.lastInterval, intervals.count < 32 {
            intervals.append(min(last * 2, limits.lastInterval))
        }
        self.intervals = intervals
        announcements = SlotLists(count: intervals.count)
    }

    var count: Int { slots.count }

    /// The number of transactions that could be mined now.
    var readyCount: Int { slots.count - gappedCount }

    func contains(_ id: Hash) -> Bool { slots[id] != nil }

    func transaction(_ id: Hash) -> Transaction? {
        slots[id].flatMap { entries[Int($0)]?.transaction }
    }

    /// All transactions: ready ones in an order in which blocks can include them, then gapped ones.
    var all: [(transaction: Transaction, isOwn: Bool)] {
        [Self.readyList, Self.gappedList].flatMap(order.slots).compactMap { slot in
            entries[Int(slot)].map { ($0.transaction, $0.isOwn) }
        }
    }

    /// Returns whether the transaction is in the pool and a client of this node has sent it.
    func isOwn(_ id: Hash) -> Bool { slots[id].flatMap { entries[Int($0)]?.isOwn } ?? false }

    /// Notes that a client has sent a transaction in the pool. Does nothing for others.
    mutating func markOwn(_ id: Hash) { if let slot = slots[id] { entries[Int(slot)]?.isOwn = true } }

    /// Returns the nonce that the sender's next transaction should have; nil when the pool has none of the sender.
    func nextNonce(_ account: AccountID) -> UInt64? { senders[account]?.next }

    /// Keeps a transaction that has passed `TransactionCheck`. The caller announces it; further announcements are
    /// scheduled from `now`.
    ///
    /// - Parameters:
    ///   - accountNonce: the account's nonce in the committed state; 0 for an unknown account.
    ///   - balance: the account's balance; nil where transactions are free.
    ///   - isOwn: whether a client of this node has sent it.
    mutating func admit(
        _ transaction: Transaction, accountNonce: UInt64, balance: Amount? = nil, isOwn: Bool = false,
        now: Duration
    ) throws(MempoolError) {
        guard slots[transaction.id] == nil else { throw .duplicate }
        guard let account = transaction.account else {
            throw .refused(.unknownSignatureType(transaction.signatureType.description))
        }
        let size = transaction.bytes.count
        guard size <= limits.transactionBytes else {
            throw .tooLarge(count: size, limit: limits.transactionBytes)
        }
        if let balance, !Self.covers(balance, transaction) { throw .insufficientBalance }
        if let sender = senders[account], sender.nonce < accountNonce {
            setNonce(accountNonce, of: account)
        }
        let nonce = transaction.body.nonce
        let sender =
            senders[account]
            ?? Sender(
                number: sendersSeen, nonce: accountNonce, next: accountNonce &+ 1, highest: accountNonce)
        guard nonce > sender.nonce else { throw .nonceTooLow(expected: sender.nonce &+ 1) }
        guard nonce &- sender.nonce <= UInt64(limits.perSender) else {
            throw .nonceTooHigh(limit: sender.nonce &+ UInt64(limits.perSender))
        }
        guard places[Place(sender: sender.number, nonce: nonce)] == nil else { throw .nonceTaken }
        guard sender.count < limits.perSender else { throw .senderFull(limit: limits.perSender) }
        try makeRoom(
            for: size, of: account, isReady: nonce == sender.next, isCharged: balance != nil)
        insert(transaction, account, nonce: sender.nonce, isOwn: isOwn, now: now)
    }

    /// Applies a block: removes mined transactions and those that the accounts' new nonces invalidate.
    mutating func commit(_ mined: some Sequence<Hash>, nonces: [(account: AccountID, nonce: UInt64)]) {
        for change in nonces { setNonce(change.nonce, of: change.account) }
        // Those still here were mined without effect: the account's nonce did not move, so the sender's later
        // transactions become gapped.
        remove(mined)
    }

    /// Drops the transactions whose fee exceeds an account's balance, which would fail in a block. Call it after
    /// `commit`, where transactions are not free.
    mutating func drop(beyond balance: Amount, of account: AccountID) {
        guard let sender = senders[account], sender.highest > sender.nonce else { return }
        for nonce in sender.nonce &+ 1...sender.highest {
            guard let slot = places[Place(sender: sender.number, nonce: nonce)],
                let entry = entries[Int(slot)], !Self.covers(balance, entry.transaction)
            else { continue }
            lose(slot, .unaffordable)
        }
    }

    private static func covers(_ balance: Amount, _ transaction: Transaction) -> Bool {
        (transaction.body.fee ?? .zero) <= balance
    }

    /// Drops transactions. Ignores unknown ones.
    mutating func remove(_ ids: some Sequence<Hash>) {
        for id in ids { if let slot = slots[id] { remove(slot) } }
    }

    /// Returns ready transactions in an order that a block can have, with a total size of up to `maxBytes`.
    func propose(maxBytes: Int, maxCount: Int = .max) -> [Transaction] {
        var result: [Transaction] = []
        var room = maxBytes
        // Senders with a transaction that did not fit, so that their later ones cannot be included.
        var blocked: Set<AccountID> = []
        var slot = order.first(in: Self.readyList)
        while slot != SlotLists.none, result.count < maxCount, blocked.count < Self.proposalSearch {
            if let entry = entries[Int(slot)] {
                let size = entry.transaction.bytes.count
                if size > room {
                    blocked.insert(entry.account)
                } else if blocked.isEmpty || !blocked.contains(entry.account) {
                    result.append(entry.transaction)
                    room &-= size
                }
            }
            slot = order.next(after: slot)
        }
        return result
    }

    /// Adds to a block what it lacks and is in the pool. A leader proposes what has been ready longest, which is first here, too,
    /// so this seldom looks at many others.
    func supply(_ assembly: inout BlockAssembly) {
        for list in [Self.readyList, Self.gappedList] {
            var slot = order.first(in: list)
            while slot != SlotLists.none, assembly.missing > 0 {
                if let entry = entries[Int(slot)] { assembly.offer(entry.transaction) }
                slot = order.next(after: slot)
            }
        }
    }

    /// The number of senders whose next transaction does not fit after which a proposal counts as full.
    static let proposalSearch = 16

    /// Removes a transaction against its client's wish, for a reason to be told. Returns whether there was one in the slot.
    @discardableResult
    mutating func lose(_ slot: Int32, _ reason: Loss.Reason) -> Bool {
        guard slot != SlotLists.none, let entry = entries[Int(slot)] else { return false }
        losses.append(Loss(id: entry.transaction.id, isOwn: entry.isOwn, reason: reason))
        remove(slot)
        return true
    }

    /// Returns what `lose` has removed since the last call.
    mutating func takeLosses() -> [Loss] {
        guard !losses.isEmpty else { return [] }
        defer { losses = [] }
        return losses
    }

    /// Returns the slot of the sender's transaction with the highest nonce; `none` if it has none.
    mutating func lastSlot(of account: AccountID) -> Int32 {
        guard var sender = senders[account] else { return SlotLists.none }
        defer { senders[account]?.highest = sender.highest }
        while sender.highest > sender.nonce {
            if let slot = places[Place(sender: sender.number, nonce: sender.highest)] { return slot }
            sender.highest &-= 1
        }
        return SlotLists.none
    }

    /// Notes whether a sender holds more than its share. Call it after each change of what it holds.
    mutating func weigh(_ account: AccountID) {
        if let sender = senders[account], holding(count: sender.count, bytes: sender.bytes) > Self.share {
            large.append(account)
        } else if !large.isEmpty {
            large.remove(account)
        }
    }

    private mutating func insert(
        _ transaction: Transaction, _ account: AccountID, nonce: UInt64, isOwn: Bool, now: Duration
    ) {
        let slot: Int32
        let entry = Entry(
            transaction: transaction, account: account, isReady: false, isOwn: isOwn, arrived: now,
            announcementLevel: 0, nextAnnouncement: now + intervals[0])
        if let reused = free.popLast() {
            slot = reused
            entries[Int(slot)] = entry
        } else {
            slot = Int32(entries.count)
            entries.append(entry)
        }
        slots[transaction.id] = slot
        bytes &+= transaction.bytes.count
        gappedBytes &+= transaction.bytes.count
        gappedCount &+= 1
        order.append(slot, to: Self.gappedList)
        arrivals.append(slot, to: 0)
        announcements.append(slot, to: 0)
        // Making room may have removed the sender's last transaction, and with it the sender.
        var sender =
            senders[account] ?? Sender(number: sendersSeen, nonce: nonce, next: nonce &+ 1, highest: nonce)
        if sender.number == sendersSeen { sendersSeen &+= 1 }
        sender.count &+= 1
        sender.bytes &+= transaction.bytes.count
        sender.highest = max(sender.highest, transaction.body.nonce)
        senders[account] = sender
        weigh(account)
        places[Place(sender: sender.number, nonce: transaction.body.nonce)] = slot
        promote(account)
    }

    /// Makes the transactions that follow the sender's last ready one ready.
    private mutating func promote(_ account: AccountID) {
        guard var sender = senders[account] else { return }
        while let slot = places[Place(sender: sender.number, nonce: sender.next)] {
            setReady(slot, true)
            sender.next &+= 1
        }
        senders[account] = sender
    }

    /// Makes the sender's ready transactions from this nonce on gapped.
    private mutating func demote(_ sender: inout Sender, from nonce: UInt64) {
        var later = nonce
        while later < sender.next {
            if let slot = places[Place(sender: sender.number, nonce: later)] { setReady(slot, false) }
            later &+= 1
        }
        sender.next = min(sender.next, nonce)
    }

    private mutating func setReady(_ slot: Int32, _ isReady: Bool) {
        guard let entry = entries[Int(slot)], entry.isReady != isReady else { return }
        let size = entry.transaction.bytes.count
        entries[Int(slot)]?.isReady = isReady
        if isReady {
            readiness &+= 1
            entries[Int(slot)]?.readiness = readiness
        } else {
            passWalks(over: slot)
        }
        order.remove(slot, from: isReady ? Self.gappedList : Self.readyList)
        order.append(slot, to: isReady ? Self.readyList : Self.gappedList)
        gappedBytes = isReady ? gappedBytes &- size : gappedBytes &+ size
        gappedCount = isReady ? gappedCount &- 1 : gappedCount &+ 1
    }

    /// Removes one transaction; the sender's later ones become gapped.
    mutating func remove(_ slot: Int32) {
        guard let entry = entries[Int(slot)], var sender = senders[entry.account] else { return }
        forget(slot, &sender)
        if entry.isReady { demote(&sender, from: entry.transaction.body.nonce) }
        senders[entry.account] = sender.count > 0 ? sender : nil
        weigh(entry.account)
    }

    /// Removes one transaction without changing the sender's others.
    private mutating func forget(_ slot: Int32, _ sender: inout Sender) {
        guard let entry = entries[Int(slot)] else { return }
        let size = entry.transaction.bytes.count
        slots[entry.transaction.id] = nil
        places[Place(sender: sender.number, nonce: entry.transaction.body.nonce)] = nil
        sender.count &-= 1
        sender.bytes &-= size
        bytes &-= size
        if !entry.isReady {
            gappedBytes &-= size
            gappedCount &-= 1
        }
        if entry.isReady { passWalks(over: slot) }
        order.remove(slot, from: entry.isReady ? Self.readyList : Self.gappedList)
        arrivals.remove(slot, from: 0)
        announcements.remove(slot, from: entry.announcementLevel)
        entries[Int(slot)] = nil
        free.append(slot)
    }

    /// Sets an account's nonce and removes the transactions that it invalidates.
    private mutating func setNonce(_ nonce: UInt64, of account: AccountID) {
        guard var sender = senders[account], sender.nonce != nonce else { return }
        if nonce < sender.nonce {
            // Only a reset lowers a nonce: the sender's transactions become gapped.
            demote(&sender, from: sender.nonce &+ 1)
            sender.next = nonce &+ 1
        } else {
            var used = sender.nonce
            while used < min(nonce, sender.highest), sender.count > 0 {
                used &+= 1
                if let slot = places[Place(sender: sender.number, nonce: used)] { forget(slot, &sender) }
            }
            sender.next = max(sender.next, nonce &+ 1)
        }
        sender.nonce = nonce
        senders[account] = sender.count > 0 ? sender : nil
        weigh(account)
        promote(account)
    }
}
