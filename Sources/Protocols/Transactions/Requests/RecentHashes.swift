import Crypto

/// The most recent hashes, at least `capacity` and at most twice as many.
///
/// Only their first eight bytes are compared: a peer that constructs two alike deceives only itself.
struct RecentHashes {
    private let capacity: Int
    private var young: Set<UInt64> = []
    private var old: Set<UInt64> = []

    init(capacity: Int) { self.capacity = capacity }

    mutating func insert(_ hash: Hash) {
        guard !young.contains(hash.firstWord) else { return }
        if young.count >= capacity {
            old = young
            young.removeAll(keepingCapacity: true)
        }
        young.insert(hash.firstWord)
    }

    /// Removes a hash; returns whether it was there.
    mutating func remove(_ hash: Hash) -> Bool {
        let wasYoung = young.remove(hash.firstWord) != nil
        return old.remove(hash.firstWord) != nil || wasYoung
    }

    func contains(_ hash: Hash) -> Bool { young.contains(hash.firstWord) || old.contains(hash.firstWord) }
}

extension Hash {
    /// The first eight bytes as one number, in memory order.
    var firstWord: UInt64 { withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } }
}
