/// A random source that yields the same numbers for the same seed (SplitMix64): for jitter, choices and
/// sampling, never for keys.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Creates a source from `seed`, or from the kernel's randomness if there is none.
    public init(seed: UInt64? = nil) {
        if let seed {
            state = seed
        } else {
            var system = SystemRandomNumberGenerator()
            state = system.next()
        }
    }

    /// Returns the next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Returns up to `count` of the elements; every subset of that size is equally likely.
    public mutating func choose<T>(_ count: Int, of elements: [T]) -> [T] {
        let count = min(count, elements.count)
        guard count > 0 else { return [] }
        var elements = elements
        for index in 0..<count {
            elements.swapAt(index, Int.random(in: index..<elements.count, using: &self))
        }
        return Array(elements.prefix(count))
    }
}

extension Duration {
    /// Returns a random part of the duration, in steps of a 1,024th.
    package func part(_ random: UInt64) -> Duration { self * Int(random % 1_024) / 1_024 }

    /// Returns how long to wait after a number of failures: `shortest` after the first, doubled by each further one up to
    /// `longest`, and shortened at random by up to half, so that not all who failed return at once.
    package static func backoff(
        _ failures: Int, from shortest: Duration, to longest: Duration, _ random: UInt64
    ) -> Duration {
        let full = min(shortest * (1 << min(max(failures - 1, 0), 20)), longest)
        return full / 2 + (full / 2).part(random)
    }
}
