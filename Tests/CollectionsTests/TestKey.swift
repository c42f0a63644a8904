/// A key whose hash leaves out as much as a test wants, so that many have the same.
struct TestKey: Hashable, Comparable {
    let number: Int
    /// Different hashes there are; 0: as many as keys.
    let hashes: Int

    func hash(into hasher: inout Hasher) {
        hasher.combine(hashes > 0 ? number % hashes : number)
    }

    static func < (left: TestKey, right: TestKey) -> Bool { left.number < right.number }
}
