import Multiformats

/// What a peer did against the rules, for whoever keeps score of it.
public enum Misbehaviour: String, Sendable, CaseIterable {
    /// Bytes that are no message of the protocol on which they came.
    case malformed
    /// More than a limit allows.
    case flooding
    /// It kept this host waiting, with memory or a place taken up meanwhile.
    case stalling
    /// Something else than was asked for or announced.
    case wrongContent
    /// Something that is proven false: a forged signature, a block against the chain's rules.
    case lie

    /// What the peer did, for a log.
    public var explanation: String {
        switch self {
        case .malformed: "it sent what is no message of the protocol"
        case .flooding: "it sent more than a limit allows"
        case .stalling: "it sent or read slower than a limit allows"
        case .wrongContent: "it sent something else than it was asked for or had announced"
        case .lie: "it sent what is proven false"
        }
    }
}

extension Host {
    /// Tells the observers that a peer broke the rules. What comes of it is theirs to decide.
    public func report(_ peer: PeerID, _ what: Misbehaviour) {
        log.debug("peer misbehaved", ["peer": .of(peer), "reason": .text(what.explanation)])
        emit(.misbehaved(peer, what))
    }

    /// The remote end of the connection with a peer, without a peer ID; nil when there is none.
    public func remoteAddress(of peer: PeerID) -> Multiaddr? {
        guard let state = peers[peer], let connection = state.primary ?? state.connections.last else {
            return nil
        }
        return Multiaddr(ip: connection.tcp.remoteAddress.ip, tcp: connection.tcp.remoteAddress.port)
    }
}

extension Stream {
    /// Tells the host's observers that the peer broke the rules on this stream.
    public func report(_ what: Misbehaviour) { connection.host.report(remotePeer, what) }
}
