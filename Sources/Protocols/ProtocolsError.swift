import Chain
import LibP2P

/// Why a stream protocol's exchange came to nothing.
public enum ProtocolsError: Error, Sendable, CustomStringConvertible {
    /// The stream failed, ended early or took too long.
    case stream(LibP2PError)
    /// The peer sent something that is no message of the protocol; the text says which.
    case malformed(String)
    /// The peer sent something else than it was asked for.
    case wrongContent(String)
    /// The peer sent something that is not genuine, whatever this node knows of the chain.
    case forged(String)
    /// The peer has too much to do for others now: it closed the stream, or said so.
    case busy
    /// A value in the message was refused.
    case refused(ChainError)

    /// One line for logs.
    public var description: String {
        switch self {
        case .stream(let error): "\(error)"
        case .malformed(let what): "malformed \(what)"
        case .wrongContent(let what), .forged(let what): "peer sent \(what)"
        case .busy: "the peer is busy"
        case .refused(let error): "\(error)"
        }
    }

    /// Whether the peer itself is to blame, rather than the network.
    public var isMisbehaviour: Bool {
        switch self {
        case .stream(.malformed), .stream(.tooLarge): true
        case .stream, .busy: false
        case .malformed, .wrongContent, .forged, .refused: true
        }
    }
}
