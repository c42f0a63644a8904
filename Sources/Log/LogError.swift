import Glibc

/// The reason the log could not start.
public enum LogError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A system call failed; the text says which, and the number is its `errno`.
    case system(String, Int32)

    /// One line.
    public var description: String {
        switch self {
        case .system(let what, let code): "\(what): \(String(cString: strerror(code)))"
        }
    }
}
