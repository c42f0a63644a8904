import Reactor

/// Why a message, or the exchange that it belongs to, has failed; each description is one line.
public enum HTTPError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Not HTTP/1.1 (RFC 9112), and what is wrong with it.
    case malformed(String)
    /// The request line alone is longer than a header may be.
    case requestLineTooLong
    /// The header has more bytes or fields than it may have.
    case headerTooLarge
    /// The body has, or announces, more bytes than it may have.
    case bodyTooLarge
    /// A version of HTTP other than 1.0 and 1.1.
    case unsupportedVersion
    /// A transfer coding other than `chunked`.
    case unsupportedTransferCoding
    /// The peer ended its side within a message.
    case truncated
    /// The peer took longer than it may.
    case timedOut
    /// The server has more to do, or holds more bytes, than it may.
    case overloaded
    /// No memory for the message.
    case outOfMemory
    /// The peer closed the connection before it answered.
    case closed
    /// The task that waits was cancelled.
    case cancelled
    /// The connection could not be made, or broke.
    case connection(ReactorError)

    /// One line.
    public var description: String {
        switch self {
        case .malformed(let reason): "malformed HTTP: \(reason)"
        case .requestLineTooLong: "the request line is too long"
        case .headerTooLarge: "the HTTP header is too large"
        case .bodyTooLarge: "the HTTP body is too large"
        case .unsupportedVersion: "the HTTP version is unknown"
        case .unsupportedTransferCoding: "the transfer coding is not chunked"
        case .truncated: "the HTTP message is cut off"
        case .timedOut: "timed out"
        case .overloaded: "the server is overloaded"
        case .outOfMemory: "out of memory"
        case .closed: "the server closed the connection"
        case .cancelled: "cancelled"
        case .connection(let error): error.description
        }
    }
}
