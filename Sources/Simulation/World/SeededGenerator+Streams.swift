import Collections
import Crypto

/// The simulator's random numbers. Each part of a simulation has a stream of its own, so an additional draw in one
/// part does not change the others.
extension SeededGenerator {
    init(seed: UInt64, stream: String) {
        let hash = Hash.sha256(of: Array("\(seed) \(stream)".utf8))
        self.init(seed: hash.array.prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// Returns true with probability 1/`count`.
    mutating func oneIn(_ count: UInt64) -> Bool { next() % max(1, count) == 0 }

    /// Returns a random duration in a range of milliseconds.
    mutating func milliseconds(_ range: ClosedRange<Int64>) -> Duration {
        .milliseconds(Int64.random(in: range, using: &self))
    }

    mutating func pick<T>(_ values: [T]) -> T? { values.randomElement(using: &self) }
}
