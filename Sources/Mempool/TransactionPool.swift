import Chain
import Crypto

/// Transactions that wait to be mined, in the order in which blocks can hold them. Every call says what time it is.
///
/// A transaction is *ready* when its nonce follows the account's, or that of another ready transaction of the
/// sender; else it is *gapped*. Ready ones are proposed in the order in which they became ready, which within a
/// sender is the order of the nonces.
///
/// Full: a gapped newcomer is refused; a ready one takes the place of the youngest gapped ones, or is refused when
/// there are not enough of them. Ready transactions are never evicted, and no transaction is replaced by another
/// with its nonce: there are no fees that could say which is worth more.
///
/// Every operation takes constant time for each transaction that it touches.
struct TransactionPool {
    /// What `admit` did beside keeping the transaction.
    struct Admission: Sendable {
        /// Whether the transaction could be mined now.
        let isReady: Bool
        /// Gapped transactions that made room.
        let evicted: [Hash]
    }

    struct Entry {
        let transaction: Transaction
        let account: AccountID
        var isReady: Bool
        /// Whether a client of this node has sent it.
        var isOwn: Bool
        let arrived: Duration
        var announcementLevel: Int
        var nextAnnouncement: Duration
    }

    struct Sender {
        /// Its number in `Place`.
        let number: UInt64
        /// The account's nonce: that of its last mined transaction.
        var nonce: UInt64
        /// The first nonce for which no ready transaction is here.
        var next: UInt64
        /// No transaction here has a higher nonce.
        var highest: UInt64
        /// Transactions here.
        var count = 0
    }

    /// A sender and a nonce: what only one transaction may have.
    struct Place: Hashable {
        let sender: UInt64
        let nonce: UInt64
    }

    static let readyList = 0
    static let gappedList = 1

    /// The bounds.
    let limits: MempoolLimits
    /// Bytes of all transactions together.
    private(set) var bytes = 0
    private(set) var gappedBytes = 0
    private(set) var gappedCount = 0

    var entries: [Entry?] = []
    private(set) var free: [Int32] = []
    private(set) var slots: [Hash: Int32] = [:]
    private(set) var senders: [AccountID: Sender] = [:]
    private var sendersSeen: UInt64 = 0
    private(set) var places: [Place: Int32] = [:]
    /// Ready and gapped ones, in the order in which they became so.
    private(set) var order = SlotLists(count: 2)
    /// All, in the order of arrival.
    var arrivals = SlotLists(count: 1)
    /// By number of announcements made. All of a level wait equally long, so each list is ordered by time.
    var announcements: SlotLists
    let intervals: [Duration]

    /// An empty mempool.
    init(_ limits: MempoolLimits = MempoolLimits()) {
        self.limits = limits
        var intervals = [limits.firstInterval]
        while let last = intervals.last, last < limits.lastInterval, intervals.count < 32 {
            intervals.append(min(last * 2, limits.lastInterval))
        }
        self.intervals = intervals
        announcements = SlotLists(count: intervals.count)
    }

    /// Transactions kept.
    var count: Int { slots.count }

    /// Of these, the ones that could be mined now.
    var readyCount: Int { slots.count - gappedCount }

    /// Whether the transaction is kept.
    func contains(_ id: Hash) -> Bool { slots[id] != nil }

    /// A transaction that is kept.
    func transaction(_ id: Hash) -> Transaction? {
        slots[id].flatMap { entries[Int($0)]?.transaction }
    }

    /// All transactions: the ready ones in an order in which blocks can hold them, then the gapped ones.
    var all: [(transaction: Transaction, isOwn: Bool)] {
        [Self.readyList, Self.gappedList].flatMap(order.slots).compactMap { slot in
            entries[Int(slot)].map { ($0.transaction, $0.isOwn) }
        }
    }

    /// Whether a transaction is kept that a client of this node has sent.
    func isOwn(_ id: Hash) -> Bool { slots[id].flatMap { entries[Int($0)]?.isOwn } ?? false }

    /// Notes that a client has sent a transaction that is kept. Does nothing for another.
    mutating func markOwn(_ id: Hash) { if let slot = slots[id] { entries[Int(slot)]?.isOwn = true } }

    /// The nonce that the sender's next transaction should have; nil when nothing of the sender waits.
    func nextNonce(_ account: AccountID) -> UInt64? { senders[account]?.next }

    /// Keeps a transaction that `TransactionCheck` has passed. `accountNonce` is the account's in the committed
    /// state, 0 for an unknown account, `balance` what the account holds, nil where transactions are free; `isOwn` says
    /// whether a client of this node has sent it. The caller announces it; announcing again is scheduled from `now`.
    mutating func admit(
        _ transaction: Transaction, accountNonce: UInt64, balance: Amount? = nil, isOwn: Bool = false,
        now: Duration
    ) throws(MempoolError) -> Admission {
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
            _ = setNonce(accountNonce, of: account)
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
        let isReady = nonce == sender.next
        let evicted = try makeRoom(for: size, isReady: isReady)
        insert(transaction, account, nonce: sender.nonce, isOwn: isOwn, now: now)
        return Admission(isReady: isReady, evicted: evicted)
    }

    /// Takes over a block: removes what was mined, and what the accounts' new nonces have made worthless. Returns
    /// the latter: transactions that are gone without having been mined.
    @discardableResult
    mutating func commit(
        _ mined: some Sequence<Hash>, nonces: [(account: AccountID, nonce: UInt64)]
    ) -> [Hash] {
        var minedSlots: [Int32] = []
        for id in mined { if let slot = slots.removeValue(forKey: id) { minedSlots.append(slot) } }
        var dropped: [Hash] = []
        for change in nonces { dropped += setNonce(change.nonce, of: change.account) }
        // Mined without effect: the account's nonce did not move, so the sender's later ones wait again.
        for slot in minedSlots where entries[Int(slot)].map({ slots[$0.transaction.id] == nil }) == true {
            remove(slot)
        }
        return dropped
    }

    /// Drops the transactions whose fee an account of this balance cannot pay, which would fail in a block. Returns
    /// them. To be called after `commit`, where transactions are not free.
    @discardableResult
    mutating func drop(beyond balance: Amount, of account: AccountID) -> [Hash] {
        guard let sender = senders[account], sender.highest > sender.nonce else { return [] }
        var dropped: [Hash] = []
        for nonce in sender.nonce &+ 1...sender.highest {
            guard let slot = places[Place(sender: sender.number, nonce: nonce)],
                let entry = entries[Int(slot)], !Self.covers(balance, entry.transaction)
            else { continue }
            dropped.append(entry.transaction.id)
            remove(slot)
        }
        return dropped
    }

    private static func covers(_ balance: Amount, _ transaction: Transaction) -> Bool {
        (transaction.body.fee ?? .zero) <= balance
    }

    /// Drops transactions, as a consensus reset or a failed check asks. Unknown ones are ignored.
    mutating func remove(_ ids: some Sequence<Hash>) {
        for id in ids { if let slot = slots[id] { remove(slot) } }
    }

    /// Ready transactions in an order in which a block can hold them, of at most `maxBytes` together.
    func propose(maxBytes: Int, maxCount: Int = .max) -> [Transaction] {
        var result: [Transaction] = []
        var room = maxBytes
        // Senders of which one did not fit: their later ones cannot go first.
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

    /// After this many senders whose next transaction does not fit, a proposal is full.
    static let proposalSearch = 16

    /// Evicts the youngest gapped transactions for a ready one, unless that would not be enough.
    private mutating func makeRoom(for size: Int, isReady: Bool) throws(MempoolError) -> [Hash] {
        if count < limits.count, bytes &+ size <= limits.bytes { return [] }
        guard isReady, readyCount < limits.count, bytes &- gappedBytes &+ size <= limits.bytes else {
            throw .full
        }
        var evicted: [Hash] = []
        while count >= limits.count || bytes &+ size > limits.bytes {
            let slot = order.last(in: Self.gappedList)
            guard slot != SlotLists.none, let entry = entries[Int(slot)] else { throw .full }
            evicted.append(entry.transaction.id)
            remove(slot)
        }
        return evicted
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
        // Making room may have taken the sender's last transaction, and with it the sender.
        var sender =
            senders[account] ?? Sender(number: sendersSeen, nonce: nonce, next: nonce &+ 1, highest: nonce)
        if sender.number == sendersSeen { sendersSeen &+= 1 }
        sender.count &+= 1
        sender.highest = max(sender.highest, transaction.body.nonce)
        senders[account] = sender
        places[Place(sender: sender.number, nonce: transaction.body.nonce)] = slot
        promote(account)
    }

    /// Makes ready what follows the sender's last ready transaction.
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
        order.remove(slot, from: isReady ? Self.gappedList : Self.readyList)
        order.append(slot, to: isReady ? Self.readyList : Self.gappedList)
        gappedBytes = isReady ? gappedBytes &- size : gappedBytes &+ size
        gappedCount = isReady ? gappedCount &- 1 : gappedCount &+ 1
    }

    /// Takes one transaction out; its sender's later ones become gapped.
    mutating func remove(_ slot: Int32) {
        guard let entry = entries[Int(slot)], var sender = senders[entry.account] else { return }
        forget(slot, &sender)
        if entry.isReady { demote(&sender, from: entry.transaction.body.nonce) }
        senders[entry.account] = sender.count > 0 ? sender : nil
    }

    /// Takes one transaction out, and leaves its sender's other ones as they are.
    private mutating func forget(_ slot: Int32, _ sender: inout Sender) {
        guard let entry = entries[Int(slot)] else { return }
        let size = entry.transaction.bytes.count
        slots[entry.transaction.id] = nil
        places[Place(sender: sender.number, nonce: entry.transaction.body.nonce)] = nil
        sender.count &-= 1
        bytes &-= size
        if !entry.isReady {
            gappedBytes &-= size
            gappedCount &-= 1
        }
        order.remove(slot, from: entry.isReady ? Self.readyList : Self.gappedList)
        arrivals.remove(slot, from: 0)
        announcements.remove(slot, from: entry.announcementLevel)
        entries[Int(slot)] = nil
        free.append(slot)
    }

    /// Moves an account's nonce. Returns the transactions that this made worthless, unless they were mined.
    private mutating func setNonce(_ nonce: UInt64, of account: AccountID) -> [Hash] {
        guard var sender = senders[account], sender.nonce != nonce else { return [] }
        var dropped: [Hash] = []
        if nonce < sender.nonce {
            // Only a reset brings a nonce back: the sender's transactions wait until the gap is filled again.
            demote(&sender, from: sender.nonce &+ 1)
            sender.next = nonce &+ 1
        } else {
            var used = sender.nonce
            while used < min(nonce, sender.highest), sender.count > 0 {
                used &+= 1
                guard let slot = places[Place(sender: sender.number, nonce: used)],
                    let entry = entries[Int(slot)]
                else { continue }
                if slots[entry.transaction.id] != nil { dropped.append(entry.transaction.id) }
                forget(slot, &sender)
            }
            sender.next = max(sender.next, nonce &+ 1)
        }
        sender.nonce = nonce
        senders[account] = sender.count > 0 ? sender : nil
        promote(account)
        return dropped
    }
}
