import Bytes

/// Reads the fields of one protobuf message, in order.
///
/// Callers skip unknown fields by ignoring them. Groups are rejected: no message of this node uses them, and
/// skipping them needs a stack whose depth the peer controls.
public struct ProtobufReader {
    /// A field's value, according to its wire type.
    public enum Value: Hashable, Sendable {
        /// Wire type 0.
        case varint(UInt64)
        /// Wire type 1.
        case fixed64(UInt64)
        /// Wire type 2, sharing memory with the message.
        case bytes(SharedBytes)
        /// Wire type 5.
        case fixed32(UInt32)
    }

    /// A field: its number and its value.
    public struct Field: Hashable, Sendable {
        /// 1 to 536,870,911.
        public let number: UInt32
        /// The value.
        public let value: Value
    }

    private var reader: ByteReader

    /// A reader at the start of a message.
    public init(_ message: SharedBytes) { reader = ByteReader(message) }

    /// A reader at the start of a copy of a message.
    public init(_ message: [UInt8]) { reader = ByteReader(message) }

    /// Returns the next field, or nil at the end of the message.
    public mutating func next() throws(BytesError) -> Field? {
        guard reader.remaining > 0 else { return nil }
        let tag = try reader.uvarint(minimal: false)
        guard let number = UInt32(exactly: tag &>> 3), number >= 1, number < 1 &<< 29 else {
            throw .invalid("a protobuf field number")
        }
        switch tag & 7 {
        case 0: return Field(number: number, value: .varint(try reader.uvarint(minimal: false)))
        case 1: return Field(number: number, value: .fixed64(try reader.u64()))
        case 2:
            let count = try reader.uvarint(minimal: false)
            return Field(number: number, value: .bytes(try reader.bytes(count)))
        case 5: return Field(number: number, value: .fixed32(try reader.u32()))
        default: throw .invalid("a protobuf wire type")
        }
    }
}

extension ProtobufReader.Field {
    /// The integer of a varint field. Throws for any other wire type.
    public var integer: UInt64 {
        get throws(BytesError) {
            guard case .varint(let integer) = value else { throw .invalid("a protobuf varint field") }
            return integer
        }
    }

    /// The bytes of a length-delimited field. Throws for any other wire type.
    public var bytes: SharedBytes {
        get throws(BytesError) {
            guard case .bytes(let bytes) = value else { throw .invalid("a protobuf bytes field") }
            return bytes
        }
    }

    /// The text of a length-delimited field. Throws for any other wire type, and unless the bytes are UTF-8.
    public var text: String {
        get throws(BytesError) {
            guard let text = String(utf8: try bytes) else { throw .invalid("UTF-8") }
            return text
        }
    }
}

/// Writes the fields of one protobuf message. Callers write them in order of number.
public struct ProtobufWriter {
    private var writer: ByteWriter

    /// Creates an empty message with room for `capacity` bytes.
    public init(capacity: Int = 0) { writer = ByteWriter(capacity: capacity) }

    /// The message so far.
    public var bytes: [UInt8] { writer.bytes }

    /// The message so far, preceded by its length as an unsigned varint.
    public var delimited: [UInt8] {
        var output = ByteWriter(capacity: bytes.count + 4)
        output.put(uvarint: UInt64(bytes.count))
        output.put(bytes: bytes)
        return output.bytes
    }

    /// Appends a varint field.
    public mutating func put(_ number: UInt32, varint value: UInt64) {
        writer.put(uvarint: UInt64(number) &<< 3)
        writer.put(uvarint: value)
    }

    /// Appends a boolean field.
    public mutating func put(_ number: UInt32, bool value: Bool) { put(number, varint: value ? 1 : 0) }

    /// Appends a length-delimited field: bytes or a nested message.
    public mutating func put(_ number: UInt32, bytes value: some ByteSource) {
        writer.put(uvarint: UInt64(number) &<< 3 | 2)
        writer.put(uvarint: UInt64(value.withUnsafeBytes { $0.count }))
        writer.put(bytes: value)
    }

    /// Appends a length-delimited field of UTF-8 text.
    public mutating func put(_ number: UInt32, text value: String) { put(number, bytes: Array(value.utf8)) }
}
