/// What is wrong with the variables or sockets that a service manager passes. Each description is one line.
public enum ServiceManagerError: Error, Equatable, CustomStringConvertible {
    /// A variable has a value that its protocol does not allow.
    case invalid(variable: StaticString, value: String, String)
    /// A passed descriptor is not open.
    case notOpen(Int32)
    /// The socket for notifications cannot be made: an `errno` as text.
    case socket(String)

    /// One line.
    public var description: String {
        switch self {
        case .invalid(let variable, let value, let reason):
            "environment variable \(variable)=\(value) \(reason): start the node from a systemd unit, or unset it"
        case .notOpen(let descriptor):
            "LISTEN_FDS counts descriptor \(descriptor), but it is not open: pass the sockets, or unset LISTEN_FDS"
        case .socket(let reason): "cannot make a socket for NOTIFY_SOCKET: \(reason)"
        }
    }

    /// Whether both are the same error.
    public static func == (left: ServiceManagerError, right: ServiceManagerError) -> Bool {
        left.description.utf8.elementsEqual(right.description.utf8)
    }
}
