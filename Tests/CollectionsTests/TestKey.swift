/// A key with a limited number of distinct hashes, to force collisions.
struct TestKey: Hashable, Comparable {
    let number: Int
    /// The number of distinct hashes; 0 means one per key.
    let hashes: Int

    func hash(into hasher: inout Hasher) {
        hasher.combine(hashes > 0 ? number % hashes : number)
    }

    static func < (left: TestKey, right: TestKey) -> Bool { left.number < right.number }
}
