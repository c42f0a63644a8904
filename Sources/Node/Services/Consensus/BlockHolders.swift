import Collections
import Crypto
import Multiformats

/// Which connected peers have announced blocks that this node has not committed yet. They need no announcement of these
/// blocks, and may be asked for them.
///
/// Claims are believed: a peer that announces a block that it lacks is asked in vain, and gets no announcement of it.
struct BlockHolders {
    /// The maximum number of blocks noted per peer, those of the lowest heights. There is more than one when a slow
    /// source makes the node wait.
    static let blocksPerPeer = 8
    /// The maximum number of blocks noted for all peers, half of it for strangers.
    static let places = 2_048

    private struct Note {
        let block: Hash
        let height: Int64
        /// Orders the announcers of a block.
        let number: Int
    }

    private var notes: OrderedDictionary<PeerID, [Note]> = [:]
    private var room = SharedPlaces<PeerID>(capacity: places, perPeer: blocksPerPeer)
    private var lastNumber = 0

    /// The number of noted announcements.
    var count: Int { room.count }

    /// Notes that a peer has announced a block above the tip.
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

    /// Forgets the announcements of a peer that has left: its next connection gets all announcements.
    mutating func forget(_ peer: PeerID) { keep(of: peer) { _ in false } }

    /// Returns the announcers of a block, in order of announcement.
    func peers(of block: Hash) -> [PeerID] {
        var found: [(peer: PeerID, number: Int)] = []
        for (peer, known) in notes {
            if let note = known.first(where: { $0.block == block }) { found.append((peer, note.number)) }
        }
        return found.sorted { $0.number < $1.number }.map(\.peer)
    }

    /// Returns the announcers of a block that is committed at `height` and about to be announced. Forgets all
    /// announcements up to that height.
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
