/// Choices that repeat for one seed (SplitMix64).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// The generator whose choices follow from `seed`.
    public init(seed: UInt64) {
        state = seed
    }

    /// The next number.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// Up to `count` of the elements, each set of them as likely as any other.
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
