import Collections
import Crypto
import Multiformats

/// Which connected peers have announced the blocks that are to be committed next: they need not be told of them, and may be
/// asked for them.
///
/// What a peer says is taken for true: one that announces what it has not keeps the news from itself, and is asked in vain.
struct BlockHolders {
    /// Blocks noted of one peer, those of the lowest heights: more follow while a source keeps the node waiting.
    static let blocksPerPeer = 8
    /// Blocks noted of all peers, of which strangers share a half.
    static let places = 2_048

    private struct Note {
        let block: Hash
        let height: Int64
        /// Tells who announced a block before whom.
        let number: Int
    }

    private var notes: OrderedDictionary<PeerID, [Note]> = [:]
    private var room = SharedPlaces<PeerID>(capacity: places, perPeer: blocksPerPeer)
    private var lastNumber = 0

    /// Blocks that are noted, once for each peer.
    var count: Int { room.count }

    /// A peer has announced a block of a height above the newest one's.
    mutating func note(_ peer: PeerID, has block: Hash, at height: Int64, isTrusted: Bool) {
        var known = notes[peer] ?? []
        guard !known.contains(where: { $0.block == block }) else { return }
        if !room.hasRoom(for: peer, isTrusted: isTrusted) {
            guard let far = known.indices.max(by: { known[$0].height < known[$1].height }),
                known[far].height > height
            else { return }
            known.remove(at: far)
            room.release(peer)
        }
        if room.take(peer, isTrusted: isTrusted) {
            lastNumber += 1
            known.append(Note(block: block, height: height, number: lastNumber))
        }
        notes[peer] = known.isEmpty ? nil : known
    }

    /// Forgets what a peer said, which has left: its next connection is told everything.
    mutating func forget(_ peer: PeerID) { keep(of: peer) { _ in false } }

    /// Those who have announced a block, the first first.
    func peers(of block: Hash) -> [PeerID] {
        var found: [(peer: PeerID, number: Int)] = []
        for (peer, known) in notes {
            if let note = known.first(where: { $0.block == block }) { found.append((peer, note.number)) }
        }
        return found.sorted { $0.number < $1.number }.map(\.peer)
    }

    /// Those who have announced the block of a height, which is committed now and announced. What was said of this height
    /// and of those below is forgotten.
    mutating func take(_ block: Hash, at height: Int64) -> Set<PeerID> {
        let peers = peers(of: block)
        for peer in Array(notes.keys) { keep(of: peer) { $0.height > height && $0.block != block } }
        return Set(peers)
    }

    private mutating func keep(of peer: PeerID, where isKept: (Note) -> Bool) {
        guard let known = notes[peer] else { return }
        let kept = known.filter(isKept)
        for _ in kept.count..<known.count { room.release(peer) }
        notes[peer] = kept.isEmpty ? nil : kept
    }
}
