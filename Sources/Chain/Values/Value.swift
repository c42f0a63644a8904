import Bytes

/// A typed value in a transaction: a statement's parameter or an action's argument (docs/wire.md, section 3).
public struct Value: Hashable, Sendable, WireDecodable {
    /// A scalar, or one member of an array.
    public enum Element: Hashable, Sendable {
        /// No value.
        case null
        /// UTF-8 text.
        case text(String)
        /// A signed 64-bit integer.
        case int8(Int64)
        /// Bytes.
        case bytea(SharedBytes)
        /// True or false.
        case bool(Bool)
        /// 16 bytes.
        case uuid(SharedBytes)
        /// A decimal number as text, plain or scientific.
        case numeric(String)
    }

    /// The type of the value, or of each member of an array.
    public let type: DataType
    /// One element, or an array's members. An untyped null may have none.
    public let elements: [Element]

    /// The element of a scalar; nil for an array.
    public var scalar: Element? {
        if type.isArray { return nil }
        return elements.first ?? .null
    }

    /// An untyped null.
    public static let null = Value(type: DataType(.null), elements: [])

    /// Returns a text.
    public static func text(_ value: String) -> Value { Value(.text(value)) }

    /// Returns an integer.
    public static func int8(_ value: Int64) -> Value { Value(.int8(value)) }

    /// Returns bytes.
    public static func bytea(_ value: [UInt8]) -> Value { Value(.bytea(SharedBytes(value))) }

    /// Returns true or false.
    public static func bool(_ value: Bool) -> Value { Value(.bool(value)) }

    /// Returns a UUID from its 16 bytes, or nil for another length.
    public static func uuid(_ value: [UInt8]) -> Value? {
        value.count == 16 ? Value(.uuid(SharedBytes(value))) : nil
    }

    /// Returns a UUID's text: 8-4-4-4-12 lower-case hexadecimal digits.
    package static func uuidText(_ bytes: SharedBytes) -> String {
        var digits = Hex.encode(bytes)
        for position in [20, 16, 12, 8] where position < digits.count {
            digits.insert("-", at: digits.index(digits.startIndex, offsetBy: position))
        }
        return digits
    }

    /// Returns a decimal number with its precision and scale, or nil if the text is not a number.
    public static func numeric(_ value: String, precision: UInt16, scale: UInt16) -> Value? {
        guard isDecimal(value) else { return nil }
        let type = DataType(.numeric, precision: precision, scale: scale)
        return Value(type: type, elements: [.numeric(value)])
    }

    /// Returns an array, or nil if a member is neither null nor of the type.
    public static func array(of type: DataType.Name, _ members: [Element]) -> Value? {
        guard members.count <= Int(UInt16.max), members.allSatisfy({ $0.type == type || $0 == .null }) else {
            return nil
        }
        return Value(type: DataType(type, isArray: true), elements: members)
    }

    private init(type: DataType, elements: [Element]) {
        self.type = type
        self.elements = elements
    }

    /// Creates a scalar of an element's own type; a number without precision and scale.
    public init(_ element: Element) {
        self.init(type: DataType(element.type), elements: [element])
    }

    /// Decodes a value from elements in their wire form: 0x00 for null, else 0x01 and the bytes.
    public init(_ type: DataType, encodedElements: [[UInt8]]) throws(ChainError) {
        do throws(BytesError) {
            guard type.allows(encodedElements.count) else { throw .invalid("one element") }
            let elements = try encodedElements.map { bytes throws(BytesError) in
                try Element(type.name, decoding: SharedBytes(bytes))
            }
            self.init(type: type, elements: elements)
        } catch {
            throw .malformed("value", error)
        }
    }

    /// The elements in their wire form.
    public var encodedElements: [[UInt8]] {
        elements.map {
            var writer = ByteWriter()
            $0.write(to: &writer)
            return writer.bytes
        }
    }

    package static let kind = "value"

    package init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        var inner = ByteReader(try reader.bytes32())
        type = try DataType(from: &inner)
        try inner.finish()
        let count = Int(try reader.u16())
        guard type.allows(count) else { throw .invalid("one element") }
        let name = type.name
        // An element takes at least its length and a byte.
        elements = try reader.list(count, least: 5) { reader throws(BytesError) in
            try Element(name, decoding: reader.bytes32())
        }
    }

    /// The value's bytes.
    public var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.put(u16: 0)
        var inner = ByteWriter()
        type.write(to: &inner)
        writer.put(bytes32: inner.bytes)
        writer.put(u16: UInt16(clamping: elements.count))
        for element in encodedElements.prefix(Int(UInt16.max)) { writer.put(bytes32: element) }
        return writer.bytes
    }

    /// Returns whether a text is a decimal number: sign, digits with at most one point, exponent.
    static func isDecimal(_ text: String) -> Bool {
        var rest = Substring(text).utf8
        func sign() { if let first = rest.first, first == 0x2B || first == 0x2D { rest.removeFirst() } }
        func digits() -> Int {
            let count = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }.count
            rest.removeFirst(count)
            return count
        }
        if text == "NaN" { return true }
        sign()
        var count = digits()
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            count += digits()
        }
        guard count > 0 else { return false }
        if let first = rest.first, first == UInt8(ascii: "e") || first == UInt8(ascii: "E") {
            rest.removeFirst()
            sign()
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }
}

extension Value.Element {
    init(_ type: DataType.Name, decoding bytes: SharedBytes) throws(BytesError) {
        var reader = ByteReader(bytes)
        guard try reader.flag() else {
            try reader.finish()
            self = .null
            return
        }
        switch type {
        case .text:
            self = .text(try reader.text(reader.remaining))
        case .int8:
            self = .int8(try reader.i64BE())
        case .bytea:
            self = .bytea(try reader.bytes(reader.remaining))
        case .bool:
            self = .bool(try reader.flag())
        case .uuid:
            self = .uuid(try reader.bytes(16))
        case .numeric:
            let text = try reader.text(reader.remaining)
            guard Value.isDecimal(text) else { throw .invalid("a decimal number") }
            self = .numeric(text)
        case .null:
            throw .invalid("null")
        }
        try reader.finish()
    }

    /// The element's type.
    public var type: DataType.Name {
        switch self {
        case .null: .null
        case .text: .text
        case .int8: .int8
        case .bytea: .bytea
        case .bool: .bool
        case .uuid: .uuid
        case .numeric: .numeric
        }
    }

    func write(to writer: inout ByteWriter) {
        guard self != .null else { return writer.put(u8: 0) }
        writer.put(u8: 1)
        switch self {
        case .null: break
        case .text(let value), .numeric(let value): writer.put(text: value)
        case .int8(let value): writer.putBE(i64: value)
        case .bytea(let value), .uuid(let value): writer.put(bytes: value)
        case .bool(let value): writer.put(u8: value ? 1 : 0)
        }
    }
}
