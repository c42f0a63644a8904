import Crypto

/// The hashes seen last, at least `capacity` and at most twice as many of them.
struct RecentHashes {
    private let capacity: Int
    private var young: Set<Hash> = []
    private var old: Set<Hash> = []

    init(capacity: Int) { self.capacity = capacity }

    mutating func insert(_ hash: Hash) {
        guard !young.contains(hash) else { return }
        if young.count >= capacity {
            old = young
            young.removeAll(keepingCapacity: true)
        }
        young.insert(hash)
    }

    func contains(_ hash: Hash) -> Bool { young.contains(hash) || old.contains(hash) }
}
