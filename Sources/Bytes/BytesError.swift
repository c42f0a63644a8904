/// Why bytes or text were refused. Every case may be caused by a peer, none by a lack of resources.
public enum BytesError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The input ends before the value does, or a length reaches beyond what is left.
    case truncated
    /// This many bytes follow a value that had to be the whole input.
    case trailingBytes(Int)
    /// An integer has more bytes than it needs, or more bits than its type.
    case overlong
    /// A length is beyond the limit of its kind.
    case tooLarge(Int, limit: Int)
    /// The input is not what the text says it should be.
    case invalid(String)

    /// One line for logs.
    public var description: String {
        switch self {
        case .truncated: "input ends too early"
        case .trailingBytes(let count): "\(count) bytes follow the value"
        case .overlong: "integer is not in its shortest form or does not fit"
        case .tooLarge(let count, let limit): "length \(count) is beyond the limit of \(limit)"
        case .invalid(let what): "not \(what)"
        }
    }
}
