import LibP2P
import Multiformats

/// Who a peer is to this node: whom it asks first, and whose share of what it lends is kept free, most first.
enum PeerRank: Int, Comparable, CaseIterable {
    /// A validator, or the leader: the chain waits for it.
    case member
    /// A peer that the operator named, or that this node has dialled of its own choice.
    case chosen
    /// Whoever came by itself.
    case stranger

    static func < (left: PeerRank, right: PeerRank) -> Bool { left.rawValue < right.rawValue }

    /// The same as a number that grows with trust.
    var trust: Int { Self.stranger.rawValue - rawValue }
}

extension PeerPlanner {
    /// Who a peer is at the present height.
    func rank(of peer: PeerID) -> PeerRank {
        if validators.contains(peer) || peer == leader { return .member }
        if standing(of: peer) == .named { return .chosen }
        return links[peer]?.direction == .outbound ? .chosen : .stranger
    }
}
