import Crypto
import LibP2P
import Multiformats

/// Which peers have announced the blocks that are to be committed next: they need not be told of them.
///
/// What a peer says is taken for true: one that announces what it has not only keeps the news from itself.
struct BlockHolders {
    /// Blocks noted at once: those of the next two heights, and some that nobody will ever commit.
    static let maximumBlocks = 8
    /// Peers noted of a block; more than a node has connections.
    static let maximumPeers = 4_096

    private var peers: [Hash: Set<PeerID>] = [:]

    /// A peer has announced a block of a height above the newest one's.
    mutating func note(_ peer: PeerID, has block: Hash) {
        if peers[block] == nil, peers.count >= Self.maximumBlocks { peers = [:] }
        if peers[block, default: []].count < Self.maximumPeers { peers[block, default: []].insert(peer) }
    }

    /// Forgets what a peer said: its next connection is told everything.
    mutating func forget(_ peer: PeerID) {
        for block in peers.keys { peers[block]?.remove(peer) }
    }

    /// Those who have announced the block, which is committed now and announced; they are forgotten.
    mutating func take(_ block: Hash) -> Set<PeerID> { peers.removeValue(forKey: block) ?? [] }
}
