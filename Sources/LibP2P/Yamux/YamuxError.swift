/// A peer's violation of the protocol, or its silence. Each ends the connection.
enum YamuxError: Error, Equatable, Sendable {
    case truncatedHeader
    case unknownVersion(UInt8)
    case unknownType(UInt8)
    /// Flags that the specification does not define, or that contradict each other or the frame's type.
    case badFlags(UInt16)
    /// A stream ID that this kind of frame cannot carry, or that the peer may not open.
    case badStreamID(UInt32)
    /// A second SYN for a stream that exists.
    case duplicateStream(UInt32)
    /// A frame of a stream that was never opened.
    case unknownStream(UInt32)
    /// More data than the stream's window allows.
    case windowExceeded(UInt32)
    /// Window updates that add up to more than 32 bits can hold.
    case windowOverflow(UInt32)
    /// Data after the end of the peer's side of the stream.
    case dataAfterFinish(UInt32)
    /// Nothing arrived within the time limit of a ping.
    case keepAliveTimeout
}

extension YamuxError: CustomStringConvertible {
    var description: String {
        switch self {
        case .truncatedHeader: "truncated header"
        case .unknownVersion(let version): "unknown version \(version)"
        case .unknownType(let type): "unknown frame type \(type)"
        case .badFlags(let flags): "bad flags \(flags)"
        case .badStreamID(let id): "bad stream ID \(id)"
        case .duplicateStream(let id): "stream \(id) opened twice"
        case .unknownStream(let id): "frame of stream \(id), which was never opened"
        case .windowExceeded(let id): "data beyond the window of stream \(id)"
        case .windowOverflow(let id): "window of stream \(id) overflows"
        case .dataAfterFinish(let id): "data behind the end of stream \(id)"
        case .keepAliveTimeout: "no answer to a ping"
        }
    }
}
