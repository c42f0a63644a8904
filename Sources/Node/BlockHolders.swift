import Collections
import Crypto
import Multiformats

/// Which peers have announced the blocks that are to be committed next: they need not be told of them, and may be asked for
/// them.
///
/// What a peer says is taken for true: one that announces what it has not keeps the news from itself, and is asked in vain.
struct BlockHolders {
    /// Blocks noted of one peer, the newest: of the next two heights, unless it invents some.
    static let blocksPerPeer = 2
    /// Peers noted at once; more than a node has connections.
    static let maximumPeers = 4_096

    private var blocks: OrderedDictionary<PeerID, [Hash]> = [:]

    /// A peer has announced a block of a height above the newest one's.
    mutating func note(_ peer: PeerID, has block: Hash) {
        var known = blocks[peer] ?? []
        guard !known.contains(block), !known.isEmpty || blocks.count < Self.maximumPeers else { return }
        if known.count >= Self.blocksPerPeer { known.removeFirst() }
        known.append(block)
        blocks[peer] = known
    }

    /// Forgets what a peer said: its next connection is told everything.
    mutating func forget(_ peer: PeerID) { blocks[peer] = nil }

    /// Those who have announced a block, the first first.
    func peers(of block: Hash) -> [PeerID] { blocks.filter { $0.value.contains(block) }.map(\.key) }

    /// Those who have announced the block, which is committed now and announced; they are forgotten.
    mutating func take(_ block: Hash) -> Set<PeerID> {
        let peers = peers(of: block)
        for peer in peers {
            blocks[peer]?.removeAll { $0 == block }
            if blocks[peer]?.isEmpty == true { blocks[peer] = nil }
        }
        return Set(peers)
    }
}
