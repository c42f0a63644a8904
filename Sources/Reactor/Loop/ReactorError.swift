import Bytes
import Glibc
import Multiformats

/// The errors of the reactor, its sockets and its workers.
public enum ReactorError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Nothing listens at the dialled address.
    case connectionRefused
    /// The network or the host cannot be reached.
    case unreachable
    /// The peer reset the connection, or left while bytes to it were in flight.
    case connectionReset
    /// The time limit has passed.
    case timedOut
    /// The address to listen on is in use.
    case addressInUse
    /// The address to listen on is not this machine's.
    case addressNotAvailable
    /// A descriptor that another process has passed on is not what it should be.
    case notListening(descriptor: Int32)
    /// The text is not an IPv4 or IPv6 address.
    case invalidAddress(String)
    /// The name has no address; the text is the resolver's.
    case nameNotResolved(String)
    /// The process or the machine has no file descriptors left.
    case tooManyFiles
    /// The process may not open as many files and sockets as it needs.
    case tooFewFiles(limit: Int, least: Int)
    /// The connection, worker or loop is closed or stopped.
    case closed
    /// The calling task was cancelled.
    case cancelled
    /// A driver requested by name is not available: which one and why.
    case driverUnavailable(String)
    /// Any other error of the kernel: the call and its `errno`.
    case system(operation: String, code: Int32)

    /// The error for `errno` value `code` of `operation`.
    init(_ operation: StaticString, _ code: Int32) {
        switch code {
        case ECONNREFUSED: self = .connectionRefused
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN: self = .unreachable
        case ECONNRESET, EPIPE, ECONNABORTED, ENOTCONN: self = .connectionReset
        case ETIMEDOUT, ETIME: self = .timedOut
        case EADDRINUSE: self = .addressInUse
        case EADDRNOTAVAIL: self = .addressNotAvailable
        case EMFILE, ENFILE: self = .tooManyFiles
        case ECANCELED: self = .cancelled
        default: self = .system(operation: "\(operation)", code: code)
        }
    }

    /// One line, for logs and people.
    public var description: String {
        switch self {
        case .connectionRefused: "connection refused"
        case .unreachable: "network or host unreachable"
        case .connectionReset: "connection reset by peer"
        case .timedOut: "timed out"
        case .addressInUse: "address already in use"
        case .addressNotAvailable: "address not available on this machine"
        case .notListening(let descriptor): "descriptor \(descriptor) is no listening TCP socket"
        case .invalidAddress(let text): "not an IP address: \(text)"
        case .nameNotResolved(let reason): "name not resolved: \(reason)"
        case .tooManyFiles: "out of file descriptors; \(SystemErrorText.descriptorAdvice)"
        case .tooFewFiles(let limit, let least):
            "the limit of \(limit) open files is below the \(least) that a node needs; \(SystemErrorText.descriptorAdvice)"
        case .closed: "closed"
        case .cancelled: "cancelled"
        case .driverUnavailable(let reason): "reactor driver not available: \(reason)"
        case .system(let operation, let code): "\(operation): \(SystemErrorText.of(code))"
        }
    }
}
