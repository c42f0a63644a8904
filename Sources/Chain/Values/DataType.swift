import Bytes

/// The type of a value on the wire (docs/wire.md, section 3).
public struct DataType: Hashable, Sendable {
    /// The type of a value, or of each member of an array.
    public enum Name: String, Sendable {
        /// UTF-8 text.
        case text
        /// A signed 64-bit integer.
        case int8
        /// Bytes.
        case bytea
        /// True or false.
        case bool
        /// 16 bytes.
        case uuid
        /// A decimal number, with precision and scale.
        case numeric
        /// The type of a null without another type.
        case null
    }

    /// The type of a value, or of each member of an array.
    public let name: Name
    /// Whether the value is an array.
    public let isArray: Bool
    /// The precision of `numeric`; 0 for other types.
    public let precision: UInt16
    /// The scale of `numeric`; 0 for other types.
    public let scale: UInt16

    /// Creates a type from its parts.
    public init(_ name: Name, isArray: Bool = false, precision: UInt16 = 0, scale: UInt16 = 0) {
        self.name = name
        self.isArray = isArray
        self.precision = precision
        self.scale = scale
    }

    /// Returns whether a value of this type may have `count` elements.
    func allows(_ count: Int) -> Bool {
        if isArray { return count <= Int(UInt16.max) }
        return count == 1 || (count == 0 && name == .null)
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        guard try reader.u16BE() == 0 else { throw .invalid("a known version") }
        let count = try reader.u32BE()
        guard count <= UInt32(ChainLimits.nameBytes) else {
            throw .tooLarge(Int(clamping: count), limit: ChainLimits.nameBytes)
        }
        guard let name = Name(rawValue: try reader.text(Int(count))) else { throw .invalid("a data type") }
        self.name = name
        isArray = try reader.flag()
        precision = try reader.u16BE()
        scale = try reader.u16BE()
    }

    func write(to writer: inout ByteWriter) {
        writer.putBE(u16: 0)
        writer.putBE(u32: UInt32(name.rawValue.utf8.count))
        writer.put(text: name.rawValue)
        writer.put(u8: isArray ? 1 : 0)
        writer.putBE(u16: precision)
        writer.putBE(u16: scale)
    }
}
