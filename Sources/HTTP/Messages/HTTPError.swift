import Reactor

/// The reason a message or exchange failed. Each description is one line.
public enum HTTPError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The message is not HTTP/1.1 (RFC 9112), with the reason.
    case malformed(String)
    /// The request line alone exceeds the limit of a header.
    case requestLineTooLong
    /// The header exceeds its limit of bytes or fields.
    case headerTooLarge
    /// The body exceeds its limit, or announces that it will.
    case bodyTooLarge
    /// A version of HTTP other than 1.0 and 1.1.
    case unsupportedVersion
    /// A transfer coding other than `chunked`.
    case unsupportedTransferCoding
    /// The peer closed its side within a message.
    case truncated
    /// The peer exceeded a time limit.
    case timedOut
    /// The server has reached a limit on work or memory.
    case overloaded
    /// Not enough memory for the message.
    case outOfMemory
    /// The peer closed the connection before it responded.
    case closed
    /// The waiting task was cancelled.
    case cancelled
    /// The connection could not be opened, or failed.
    case connection(ReactorError)

    /// One line.
    public var description: String {
        switch self {
        case .malformed(let reason): "malformed HTTP: \(reason)"
        case .requestLineTooLong: "the request line is too long"
        case .headerTooLarge: "the HTTP header is too large"
        case .bodyTooLarge: "the HTTP body is too large"
        case .unsupportedVersion: "the HTTP version is not supported"
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
