import Multiformats
import Reactor

/// Decides for a host which connections may be made, and which peers it keeps when it runs short of memory.
@ReactorActor
public protocol ConnectionGater: AnyObject, Sendable {
    /// Returns whether a connection may be made. Called before it is set up, and again after the handshake.
    func admits(_ candidate: ConnectionCandidate) -> Bool

    /// Returns whether the peer, such as a validator or one that the operator has named, is disconnected for the bytes
    /// held for it only after strangers.
    func isTrusted(_ peer: PeerID) -> Bool
}

/// A connection about to be made, for a host's gater to accept or refuse.
public struct ConnectionCandidate: Sendable {
    /// The side that dials.
    public let direction: Direction
    /// The remote address, without a peer ID.
    public let address: Multiaddr?
    /// The peer; nil for an inbound connection before its handshake.
    public let peer: PeerID?
    /// Whether the handshake is complete: the peer's identity is proven, and the connection stands unless refused.
    public let isProven: Bool
}
