import Multiformats

/// A peer's breach of the rules.
public enum Misbehaviour: String, Sendable, CaseIterable {
    /// It sent bytes that are not a message of the stream's protocol.
    case malformed
    /// It sent more than a limit allows.
    case flooding
    /// It did not deliver, or read, in time.
    case stalling
    /// It sent something other than it was asked for or had announced.
    case wrongContent
    /// It sent something proven false: a forged signature, a block that breaks the chain's rules.
    case lie

    /// A description for logs.
    public var explanation: String {
        switch self {
        case .malformed: "it sent bytes that are not a message of the protocol"
        case .flooding: "it sent more than a limit allows"
        case .stalling: "it did not deliver, or read, in time"
        case .wrongContent: "it sent something other than it was asked for or had announced"
        case .lie: "it sent something proven false"
        }
    }
}

extension Host {
    /// Reports to the observers that a peer broke the rules, and logs the error that showed it. The observers decide
    /// the consequences.
    public func report(_ peer: PeerID, _ what: Misbehaviour, because error: (any Error)? = nil) {
        let reason = error.map { "\(what.explanation): \($0)" } ?? what.explanation
        metrics.penalties[what].add()
        log.debug("peer misbehaved", ["peer": .of(peer), "reason": .text(reason)])
        emit(.misbehaved(peer, what))
    }

    /// Returns the remote address of the connection with a peer, without a peer ID; nil if there is none.
    public func remoteAddress(of peer: PeerID) -> Multiaddr? {
        let connection = peers[peer].flatMap { $0.primary ?? $0.connections.last }
        return connection?.tcp.remoteAddress.multiaddr
    }
}

extension LibP2PError {
    /// The misbehaviour that the error proves of the peer that was read from; nil if the network or this host may be at
    /// fault.
    public var misbehaviour: Misbehaviour? {
        switch self {
        case .malformed, .tooLarge: .malformed
        default: nil
        }
    }
}

extension Stream {
    /// Reports to the host's observers that the peer broke the rules on this stream.
    public func report(_ what: Misbehaviour) { connection.host.report(remotePeer, what) }
}
