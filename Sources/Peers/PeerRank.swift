import LibP2P
import Multiformats

/// A peer's rank, highest first. Peers of higher rank are asked and served first, and strangers cannot use up their
/// shares.
package enum PeerRank: Int, Comparable, CaseIterable {
    /// A validator, or the leader: the chain waits for it.
    case member
    /// A peer that the operator named or this node dialled.
    case chosen
    /// A peer that dialled this node.
    case stranger

    package static func < (left: PeerRank, right: PeerRank) -> Bool { left.rawValue < right.rawValue }

    /// The rank as a number that increases with trust.
    package var trust: Int { Self.stranger.rawValue - rawValue }
}

extension PeerPlanner {
    /// Returns a peer's rank under the validators of the tip.
    func rank(of peer: PeerID) -> PeerRank {
        if validators.contains(peer) || peer == leader { return .member }
        if standing(of: peer) == .named { return .chosen }
        return links[peer]?.direction == .outbound ? .chosen : .stranger
    }
}
