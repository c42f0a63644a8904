import Glibc

/// Why there is no log.
public enum LogError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The kernel refused something; text and `errno` say what and why.
    case system(String, Int32)

    /// One line.
    public var description: String {
        switch self {
        case .system(let what, let code): "\(what): \(String(cString: strerror(code)))"
        }
    }
}
