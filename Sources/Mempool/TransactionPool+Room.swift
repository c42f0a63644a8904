import Chain
import Crypto

/// Who gets the room of a full pool, and who yields.
///
/// A full pool takes a transaction only if it is ready, and then in the place of others:
///
/// 1. of the youngest gapped ones, or, if they are not enough,
/// 2. of the last ones of senders that hold more than the newcomer's sender then would, and more than a hundredth of the pool.
///
/// Of these senders those that hold most yield first: they are compared by the power of two of what they hold. Among alike
/// ones the lowest fee yields first, where fees are charged, and then the youngest transaction. So a fee buys no room from a
/// sender that keeps within its hundredth, and nobody can push such a sender out, whatever he pays and however many
/// accounts he has.
extension TransactionPool {
    /// What a sender may hold, in millionths of the pool, without having to yield to others. It also bounds the number of
    /// senders that are compared.
    static let share = 10_000

    /// The share of the pool that transactions of this number and size take, in millionths: of its number or of its bytes,
    /// whichever is more.
    func holding(count: Int, bytes: Int) -> Int {
        max(Self.millionths(count, of: limits.count), Self.millionths(bytes, of: limits.bytes))
    }

    private static func millionths(_ part: Int, of whole: Int) -> Int {
        let (product, overflow) = part.multipliedReportingOverflow(by: 1_000_000)
        return overflow ? .max : product / max(1, whole)
    }

    private func holding(of account: AccountID) -> Int {
        senders[account].map { holding(count: $0.count, bytes: $0.bytes) } ?? 0
    }

    /// About how many ready transactions find room without displacing other ready ones.
    var room: Int {
        let mean = count > 0 ? max(1, bytes / count) : 1
        return max(0, min(limits.count &- readyCount, (limits.bytes &- bytes &+ gappedBytes) / mean))
    }

    private func fits(_ size: Int) -> Bool { count < limits.count && bytes &+ size <= limits.bytes }

    /// Why there is no room for a transaction whose signature need not have been checked; nil if there may be. Takes
    /// a microsecond.
    func refusal(of transaction: Transaction) -> MempoolError? {
        guard slots[transaction.id] == nil, let account = transaction.account else { return nil }
        let sender = senders[account]
        if let sender, sender.count >= limits.perSender { return .senderFull(limit: limits.perSender) }
        let size = transaction.bytes.count
        if fits(size) { return nil }
        // The nonce of an account that is not here is not known.
        let isReady = sender.map { transaction.body.nonce <= $0.next } ?? true
        guard isReady else { return .fullForGapped }
        let yielding = yielding(to: size, of: account)
        return isEnough(yielding, for: size, of: account) ? nil : .full
    }

    /// Makes room for a transaction. Throws, without removing any, if not enough others yield.
    mutating func makeRoom(
        for size: Int, of account: AccountID, isReady: Bool, isCharged: Bool
    ) throws(MempoolError) {
        if fits(size) { return }
        guard isReady else { throw .fullForGapped }
        if readyCount < limits.count, bytes &- gappedBytes &+ size <= limits.bytes {
            while !fits(size), lose(order.last(in: Self.gappedList), .crowdedOut) {}
            return
        }
        var yielding = yielding(to: size, of: account)
        guard isEnough(yielding, for: size, of: account) else { throw .full }
        let own = holding(of: account, with: size)
        while !fits(size) {
            guard let first = first(toYield: yielding, isCharged: isCharged), loseLast(of: first, .crowdedOut)
            else { throw .full }
            if holding(of: first) < own { yielding.removeAll { $0 == first } }
        }
    }

    /// What the sender would hold with another transaction.
    private func holding(of account: AccountID, with size: Int) -> Int {
        let sender = senders[account]
        return holding(count: (sender?.count ?? 0) &+ 1, bytes: (sender?.bytes ?? 0) &+ size)
    }

    /// The senders that hold more than this one would.
    private func yielding(to size: Int, of account: AccountID) -> [AccountID] {
        let own = holding(of: account, with: size)
        return large.filter { $0 != account && holding(of: $0) > own }
    }

    /// Whether these senders have enough that they can lose before they hold no more than this one would.
    private func isEnough(_ yielding: [AccountID], for size: Int, of account: AccountID) -> Bool {
        guard !yielding.isEmpty, size <= limits.bytes else { return false }
        let missing = bytes &+ size &- limits.bytes
        guard missing > 0 else { return true }
        let own = senders[account]?.bytes ?? 0
        let surplus = yielding.reduce(0) { $0 &+ max(0, (senders[$1]?.bytes ?? 0) &- own &- size) }
        return surplus >= missing
    }

    /// The sender that yields first.
    private mutating func first(toYield senders: [AccountID], isCharged: Bool) -> AccountID? {
        var best: (account: AccountID, rank: Int, fee: Amount, arrived: Duration)?
        for account in senders {
            let slot = lastSlot(of: account)
            guard slot != SlotLists.none, let last = entries[Int(slot)] else { continue }
            let rank = Int.bitWidth - holding(of: account).leadingZeroBitCount
            let fee = isCharged ? last.transaction.body.fee ?? .zero : .zero
            if let best, (best.rank, fee, best.arrived) >= (rank, best.fee, last.arrived) { continue }
            best = (account, rank, fee, last.arrived)
        }
        return best?.account
    }

    /// Drops the sender's transaction with the highest nonce. Returns whether it had one.
    @discardableResult
    private mutating func loseLast(of account: AccountID, _ reason: Loss.Reason) -> Bool {
        let slot = lastSlot(of: account)
        return lose(slot, reason)
    }

    /// Changes the limits, except the intervals, and drops what exceeds them: of each sender the last transactions beyond
    /// its maximum; then of all the youngest gapped ones, the last ones of those that hold most, and the youngest.
    mutating func limit(to limits: MempoolLimits) {
        self.limits = limits
        for (account, sender) in senders.sorted(by: { $0.value.number < $1.value.number }) {
            for _ in 0..<max(0, sender.count &- limits.perSender) { loseLast(of: account, .limit) }
            weigh(account)
        }
        while count > limits.count || bytes > limits.bytes {
            if lose(order.last(in: Self.gappedList), .limit) { continue }
            if let most = first(toYield: Array(large), isCharged: false) {
                loseLast(of: most, .limit)
            } else if !lose(order.last(in: Self.readyList), .limit) {
                return
            }
        }
    }
}
