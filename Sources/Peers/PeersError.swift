/// An error of this module. The description is one line.
public enum PeersError: Error, Equatable, CustomStringConvertible {
    /// Text from the configuration that is no peer address.
    case invalidAddress(String)

    /// The reason, with the refused text.
    public var description: String {
        switch self {
        case .invalidAddress(let reason): reason
        }
    }
}
