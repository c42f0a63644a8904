import Multiformats

/// The errors of a libp2p host.
///
/// Invalid input from a peer causes one of these, never a trap. The text in a case names what was being read or done;
/// it comes from this module, not from the peer. Names that a peer lists are reduced to printable ASCII.
public enum LibP2PError: Error, Equatable, Sendable {
    // Setting up a connection.
    /// A handshake message, negotiation token or frame violates its format; the text names it and the fault.
    case malformed(String)
    /// A message, token, frame or field is longer than its limit; the text names it.
    case tooLarge(String)
    /// A frame or handshake message did not decrypt.
    case decryptionFailed
    /// The peer's signature over its Noise key does not verify.
    case badSignature
    /// The remote host is not the peer that was dialled.
    case wrongPeer(expected: PeerID, actual: PeerID)
    /// The remote host is this host.
    case dialedSelf
    /// The peer is on another chain.
    case wrongChain
    /// The two sides have no security protocol, multiplexer or stream protocol in common.
    case protocolNotSupported([ProtocolID])
    /// The peer's handshake lists its multiplexers, given here, and this host supports none of them.
    case noCommonMultiplexer([ProtocolID])
    /// A cipher has used all its nonces; the connection must be replaced.
    case nonceExhausted
    /// The peer closed the connection in the middle of a handshake.
    case handshakeInterrupted

    // Connections.
    /// No address of the peer could be reached; the text has one reason for each address tried.
    case dialFailed(String)
    /// This host cannot dial or listen on the address.
    case unsupportedAddress(String)
    /// No address is known for the peer.
    case noAddress(PeerID)
    /// There is no connection to the peer.
    case notConnected(PeerID)
    /// The peer or address failed recently and is not dialled until its backoff has passed.
    case backingOff
    /// A limit on connections, streams or bytes has been reached; the text names it.
    case limitReached(String)
    /// This host's connection gater refuses the peer.
    case refused
    /// The connection has been closed by either side or by the network.
    case connectionClosed
    /// The peer has closed the connection.
    case peerClosed
    /// The peer broke the multiplexer's rules; the text says how.
    case multiplexer(String)
    /// The peer has not read for too long.
    case stalled
    /// The host has been stopped, or has not been started.
    case notRunning
    /// A network operation failed; the text is the reason.
    case network(String)

    // Streams.
    /// The stream was reset by the peer.
    case streamReset
    /// The stream was closed by this side before the operation.
    case streamClosed
    /// The peer closed its side of the stream before all expected bytes had arrived.
    case endOfStream
    /// The deadline of the stream or operation has passed.
    case timedOut
    /// The waiting task was cancelled.
    case cancelled

    // Peer store.
    /// The address book file is damaged, or this program did not write it.
    case corruptFile(path: String, reason: String)
    /// A file operation failed.
    case file(path: String, reason: String)

    // Publish and subscribe.
    /// A message to be published is longer than the router's limit, or its topic is not valid.
    case invalidMessage(String)
}

extension LibP2PError: CustomStringConvertible {
    /// The failure in one line.
    public var description: String {
        switch self {
        case .malformed(let what): "malformed \(what)"
        case .tooLarge(let what): "\(what) is too large"
        case .decryptionFailed: "decryption failed"
        case .badSignature: "the peer's signature over its handshake key does not verify"
        case .wrongPeer(let expected, let actual): "expected peer \(expected), found \(actual)"
        case .dialedSelf: "the remote host is this host"
        case .wrongChain: "the peer is on another chain"
        case .protocolNotSupported(let ids):
            "the peer supports none of \(ids.map(\.rawValue).joined(separator: ", "))"
        case .noCommonMultiplexer(let ids):
            "no multiplexer in common: the peer supports \(ids.map(\.rawValue).joined(separator: ", "))"
        case .nonceExhausted: "the connection's cipher has no nonces left"
        case .handshakeInterrupted: "the peer closed the connection during the handshake"
        case .dialFailed(let reasons): "dialling failed: \(reasons)"
        case .unsupportedAddress(let address): "address \(address) is not supported"
        case .noAddress(let peer): "no address is known for peer \(peer)"
        case .notConnected(let peer): "not connected to peer \(peer)"
        case .backingOff: "the address failed recently and is not dialled until its backoff has passed"
        case .limitReached(let what): "limit reached: \(what)"
        case .refused: "this host's rules refuse the connection"
        case .connectionClosed: "the connection is closed"
        case .peerClosed: "the peer closed the connection"
        case .stalled: "the peer did not read what it was sent"
        case .multiplexer(let how): "multiplexer: \(how)"
        case .notRunning: "the host is not running"
        case .network(let reason): reason
        case .streamReset: "the peer reset the stream"
        case .streamClosed: "the stream is closed"
        case .endOfStream: "the stream ended early"
        case .timedOut: "timed out"
        case .cancelled: "cancelled"
        case .corruptFile(let path, let reason): "\(path): \(reason)"
        case .file(let path, let reason): "\(path): \(reason)"
        case .invalidMessage(let what): "invalid message: \(what)"
        }
    }
}
