import Bytes

/// The payload `execute`: calls of one action, each with its arguments (docs/wire.md, section 3).
public struct ActionCall: Hashable, Sendable {
    /// The namespace that holds the action.
    public let namespace: String
    /// The action's name.
    public let action: String
    /// The arguments of each call: at most 65,535 calls of as many arguments.
    public let arguments: [[Value]]

    /// Creates calls from their parts.
    public init(namespace: String, action: String, arguments: [[Value]]) {
        self.namespace = namespace
        self.action = action
        self.arguments = arguments
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        namespace = try reader.string32()
        action = try reader.string32()
        arguments = try reader.list(reader.u16(), least: 2) { reader throws(BytesError) in
            try reader.list(reader.u16(), least: 4) { reader throws(BytesError) in
                try Value(whole: reader.bytes32())
            }
        }
    }

    func write(to writer: inout ByteWriter) {
        writer.put(u16: 0)
        writer.put(string32: namespace)
        writer.put(string32: action)
        writer.put(u16: UInt16(clamping: arguments.count))
        for values in arguments.prefix(Int(UInt16.max)) {
            writer.put(u16: UInt16(clamping: values.count))
            for value in values.prefix(Int(UInt16.max)) { writer.put(bytes32: value.bytes) }
        }
    }
}
