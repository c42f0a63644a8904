import Collections
import Crypto

/// Notices that two hosts publish with one validator's key, by the numbers of their messages. A machine.
///
/// A process numbers its messages from the time of its start, in microseconds, and counts up by one. So the numbers of
/// two processes lie far apart, and a restart changes from one range to another once. Who returns to a range that it had
/// left, with a vote of a later height, is two processes.
struct KeyUse {
    /// Numbers of one process lie within this: no node publishes a million messages.
    static let range: UInt64 = 1_000_000

    private struct Use {
        /// The last number, and the last of the range before.
        var last: UInt64
        var former: UInt64?
        /// The highest height voted on, and what it was when the range last changed.
        var height: Int64
        var changedAt: Int64 = 0
        var isKnown = false
    }

    private var uses: OrderedDictionary<PublicKey, Use> = [:]

    /// A validator's vote was heard. True once for a key that two hosts use.
    mutating func heard(_ key: PublicKey, number: UInt64, height: Int64) -> Bool {
        guard var use = uses[key] else {
            uses[key] = Use(last: number, height: height)
            return false
        }
        defer { uses[key] = use }
        guard !Self.isSame(number, use.last) else {
            use.last = number
            use.height = max(use.height, height)
            return false
        }
        let returns = use.former.map { Self.isSame(number, $0) } ?? false
        // What comes late of a process that has ended is about heights that were voted on before.
        guard !returns || height > use.changedAt else { return false }
        (use.last, use.former) = (number, use.last)
        use.height = max(use.height, height)
        use.changedAt = use.height
        guard returns, !use.isKnown else { return false }
        use.isKnown = true
        return true
    }

    /// Forgets all but these.
    mutating func keep(_ isValidator: (PublicKey) -> Bool) { uses.removeAll { !isValidator($0.key) } }

    private static func isSame(_ one: UInt64, _ other: UInt64) -> Bool {
        max(one, other) - min(one, other) < range
    }
}
