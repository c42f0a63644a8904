/// What the module throws. The description is one line.
public enum PeersError: Error, Equatable, CustomStringConvertible {
    /// Text from configuration that is no peer address.
    case invalidAddress(String)

    /// The reason, with the text that was refused.
    public var description: String {
        switch self {
        case .invalidAddress(let reason): reason
        }
    }
}
