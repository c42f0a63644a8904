import Chain
import LibP2P

/// Why a stream protocol's exchange failed. `Misbehaviour.ofDialler` and `ofResponder` tell what this says about the peer.
public enum ProtocolsError: Error, Sendable, CustomStringConvertible {
    /// The stream failed, ended early or took too long.
    case stream(LibP2PError)
    /// The peer sent something that is not a message of the protocol; the text says what.
    case malformed(String)
    /// The peer sent something other than it was asked for or had announced.
    case wrongContent(String)
    /// The peer sent something that is not genuine, whatever this node knows of the chain.
    case forged(String)
    /// The peer delivered nothing that it was asked for in time.
    case stalled
    /// The peer is too busy to serve others now: it closed the stream, or said so.
    case busy
    /// A value in the message was refused.
    case refused(ChainError)

    /// The error that stands for whatever a dialogue has thrown.
    init(_ error: any Error) {
        self =
            switch error {
            case let error as ProtocolsError: error
            case let error as LibP2PError: .stream(error)
            case let error as ChainError: .refused(error)
            default: .malformed("\(error)")
            }
    }

    /// One line for logs.
    public var description: String {
        switch self {
        case .stream(let error): "\(error)"
        case .malformed(let what): "malformed \(what)"
        case .wrongContent(let what), .forged(let what): "peer sent \(what)"
        case .stalled: "the peer delivers nothing"
        case .busy: "the peer is busy"
        case .refused(let error): "\(error)"
        }
    }
}
