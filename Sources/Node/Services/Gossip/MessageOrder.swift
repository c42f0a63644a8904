import Collections
import Crypto

/// Tells an author's new messages from those that somebody has kept and sends again, by their numbers. A machine.
///
/// A process counts its messages up by one from a number that its start gave it, so the numbers of two processes lie far
/// apart, and those of a later one are lower if the clock was set back. Each process' messages count in their order only: one
/// that comes after a later one is let go.
struct MessageOrder {
    /// Processes that are remembered: more than one node has in the time that a height takes.
    static let remembered = 16
    /// Numbers of one process lie within this: no node publishes a million messages.
    static let range: UInt64 = 1_000_000

    private struct Process: Hashable {
        let author: PublicKey
        /// What its numbers have in common.
        let range: UInt64
    }

    private var newest: OrderedDictionary<Process, UInt64> = [:]

    /// Whether a message comes after all that were heard of its process.
    mutating func isNew(_ number: UInt64, of author: PublicKey) -> Bool {
        let process = Process(author: author, range: number / Self.range)
        if let last = newest[process] {
            guard number > last else { return false }
        } else if newest.count >= Self.remembered, let oldest = newest.keys.first(where: { _ in true }) {
            newest[oldest] = nil
        }
        newest[process] = number
        return true
    }
}
