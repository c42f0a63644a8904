import Crypto

/// The Merkle tree over a block's transactions (docs/wire.md, section 4).
public enum MerkleTree {
    /// Returns the root over txids: zeros for none, the leaf itself for one; at each level an odd last node
    /// is paired with itself.
    public static func root(of leaves: [Hash]) -> Hash {
        guard var root = leaves.first else { return .zero }
        var level = leaves
        while level.count > 1 {
            if !level.count.isMultiple(of: 2), let last = level.last { level.append(last) }
            let parents = level.count / 2
            for index in 0..<parents {
                level[index] = Hash.sha256(of: level[index &* 2], level[index &* 2 &+ 1])
            }
            level.removeSubrange(parents...)
            root = level[0]
        }
        return root
    }
}
