import Crypto

/// The simulator's generator (SplitMix64). Each part of a simulation has a stream of its own, so that one more draw in
/// one of them does not change the others.
struct SimulationRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64, stream: String) {
        let hash = Hash.sha256(of: Array("\(seed) \(stream)".utf8))
        state = hash.array.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// True once in so many times.
    mutating func oneIn(_ count: UInt64) -> Bool { next() % max(1, count) == 0 }

    /// A number of milliseconds.
    mutating func milliseconds(_ range: ClosedRange<Int64>) -> Duration {
        .milliseconds(Int64.random(in: range, using: &self))
    }

    mutating func pick<T>(_ values: [T]) -> T? { values.randomElement(using: &self) }
}
