import Chain
import LibP2P

/// The host's limits, from the chain's parameters and the configuration.
extension ResourceLimits {
    /// Returns the maximum number of bytes to hold for one peer and for all peers, on a chain whose blocks have up to
    /// `size` bytes. A peer gets eight blocks and 16 MiB, but at most 64 MiB unless one block needs more. All peers
    /// together get as much as eight peers, but at most 512 MiB, or as much as two peers if that is more.
    static func bytes(forBlocksOf size: Int) -> (perPeer: Int, total: Int) {
        let (small, whole) = (16 << 20, 64 << 20)
        let largest = min(max(size, 0), ChainLimits.blockBytes)
        let perPeer = min(8 * largest + small, max(whole, largest + small))
        return (perPeer, min(8 * perPeer, max(8 * whole, 2 * perPeer)))
    }

    /// Leaves the choice of up to `maximum` peers to the planner. The host also has room for peers that identify
    /// themselves before they are refused, and for second connections that replace first ones.
    mutating func admitPeers(_ maximum: Int) {
        connections = maximum + pendingInbound + 64
        inboundConnections = maximum + pendingInbound
        limitsLoopback = false
    }
}
