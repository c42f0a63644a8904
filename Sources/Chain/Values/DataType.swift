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
        /// A decimal number; its metadata are precision and scale.
        case numeric
        /// The type of a null without another type.
        case null
    }

    /// The type of a value, or of each member of an array.
    public let name: Name
    /// Whether the value is an array.
    public let isArray: Bool
    /// Precision and scale of `numeric`; zeros for other types.
    public let metadata: (UInt16, UInt16)

    /// Creates a type from its parts.
    public init(_ name: Name, isArray: Bool = false, metadata: (UInt16, UInt16) = (0, 0)) {
        self.name = name
        self.isArray = isArray
        self.metadata = metadata
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
        metadata = (try reader.u16BE(), try reader.u16BE())
    }

    func write(to writer: inout ByteWriter) {
        writer.putBE(u16: 0)
        writer.putBE(u32: UInt32(name.rawValue.utf8.count))
        writer.put(text: name.rawValue)
        writer.put(u8: isArray ? 1 : 0)
        writer.putBE(u16: metadata.0)
        writer.putBE(u16: metadata.1)
    }

    /// Compares all parts.
    public static func == (left: DataType, right: DataType) -> Bool {
        left.name == right.name && left.isArray == right.isArray && left.metadata == right.metadata
    }

    /// Hashes all parts.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(isArray)
        hasher.combine(metadata.0)
        hasher.combine(metadata.1)
    }
}
