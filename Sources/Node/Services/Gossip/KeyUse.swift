import Collections
import Crypto

/// Detects two hosts that vote with one validator's key, by the sequence numbers of their messages. A machine.
///
/// A process numbers its messages upwards from the time of its start, in microseconds. So the numbers of two processes
/// are far apart, and a restart changes the range once. A key that returns to an earlier range with a vote for a later
/// height is used by two processes.
struct KeyUse {
    /// The numbers of one process differ by less than this: no node publishes a million messages.
    static let range: UInt64 = 1_000_000

    private struct Use {
        /// The latest number, and the latest of the range before.
        var last: UInt64
        var former: UInt64?
        /// The highest height voted on, and that height when the range last changed.
        var height: Int64
        var changedAt: Int64 = 0
        var isKnown = false
    }

    private var uses: OrderedDictionary<PublicKey, Use> = [:]

    /// Notes a validator's vote. Returns true once for a key that two hosts use.
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
        // Late messages of a former process are about heights already voted on.
        guard !returns || height > use.changedAt else { return false }
        (use.last, use.former) = (number, use.last)
        use.height = max(use.height, height)
        use.changedAt = use.height
        guard returns, !use.isKnown else { return false }
        use.isKnown = true
        return true
    }

    /// Forgets the keys for which `isValidator` returns false.
    mutating func keep(_ isValidator: (PublicKey) -> Bool) { uses.removeAll { !isValidator($0.key) } }

    private static func isSame(_ one: UInt64, _ other: UInt64) -> Bool {
        max(one, other) - min(one, other) < range
    }
}
