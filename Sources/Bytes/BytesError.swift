/// The reason bytes or text were rejected. A peer can cause every case; a lack of resources causes none.
public enum BytesError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The input ends before the value does, or a length exceeds the bytes left.
    case truncated
    /// This many bytes follow a value that should have been the whole input.
    case trailingBytes(Int)
    /// An integer is encoded in more bytes than it needs, or overflows its type.
    case overlong
    /// A length exceeds its limit.
    case tooLarge(Int, limit: Int)
    /// The input is not what the text names.
    case invalid(String)

    /// One line for logs.
    public var description: String {
        switch self {
        case .truncated: "input ends too early"
        case .trailingBytes(let count): "\(count) bytes follow the value"
        case .overlong: "integer is not in its shortest form or does not fit"
        case .tooLarge(let count, let limit): "length \(count) exceeds the limit of \(limit)"
        case .invalid(let what): "not \(what)"
        }
    }
}
