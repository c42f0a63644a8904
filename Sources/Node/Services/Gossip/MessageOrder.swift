import Collections
import Crypto

/// Distinguishes an author's new messages from replayed ones by their sequence numbers. A machine.
///
/// A process numbers its messages upwards from a number drawn at its start. So the numbers of two processes are far
/// apart, and those of the later one are lower if the clock was set back. Within a process order counts: a message that
/// arrives after a later one is dropped.
struct MessageOrder {
    /// The maximum number of processes remembered: more than a node has while a height is decided.
    static let remembered = 16
    /// The numbers of one process differ by less than this: no node publishes a million messages.
    static let range: UInt64 = 1_000_000

    private struct Process: Hashable {
        let author: PublicKey
        /// The leading digits of its numbers.
        let range: UInt64
    }

    private var newest: OrderedDictionary<Process, UInt64> = [:]

    /// Returns whether a message is later than all others of its process.
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
