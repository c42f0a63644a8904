import Bytes
import CShims
import Chain

/// Converts values of the chain's types to and from SQLite's five storage classes (docs/execution.md, "Values").
enum StoredValue {
    /// Binds a value to parameter `index`, from 1.
    static func bind(_ value: Value, to statement: SQLiteStatement, at index: Int) throws(SQLiteFailure) {
        guard !value.type.isArray else {
            return try statement.bind(index, json(value.elements))
        }
        switch value.elements.first ?? .null {
        case .null:
            try statement.bindNull(index)
        case .text(let text):
            try statement.bind(index, text)
        case .int8(let number):
            try statement.bind(index, number)
        case .bytea(let bytes):
            try statement.bind(index, bytes)
        case .bool(let flag):
            try statement.bind(index, flag ? 1 : 0)
        case .uuid(let bytes):
            try statement.bind(index, Value.uuidText(bytes))
        case .numeric(let text):
            if let integer = integer(text) {
                try statement.bind(index, integer)
            } else {
                try statement.bind(index, text)
            }
        }
    }

    /// Returns the size of a text or blob in bytes; 8 for any other element.
    static func size(of element: Value.Element) -> Int {
        switch element {
        case .text(let text), .numeric(let text): text.utf8.count
        case .bytea(let bytes): bytes.count
        case .null, .int8, .bool, .uuid: 8
        }
    }

    /// Returns the value in column `index`, from 0, of the current row. Its storage class and the declared type of its
    /// column determine its type.
    static func read(_ statement: SQLiteStatement, _ index: Int, declared: DataType.Name?) -> Value {
        switch statement.columnClass(index) {
        case SQLITE_INTEGER:
            let number = statement.int(index)
            switch declared {
            case .bool where number == 0 || number == 1: return .bool(number == 1)
            case .numeric: return decimal("\(number)")
            default: return .int8(number)
            }
        case SQLITE_FLOAT:
            return decimal("\(statement.double(index))")
        case SQLITE_BLOB:
            return .bytea(statement.bytes(index))
        case SQLITE_TEXT:
            let text = statement.text(index)
            switch declared {
            case .uuid: return uuid(text) ?? .text(text)
            case .numeric: return decimal(text)
            default: return .text(text)
            }
        default:
            return .null
        }
    }

    /// Returns the type for a column's declaration; nil if there is none. Like SQLite's affinities, it ignores the case
    /// of ASCII letters.
    static func type(declared: String?) -> DataType.Name? {
        guard var declared, !declared.isEmpty else { return nil }
        return declared.withUTF8 { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            if bytes.hasPrefixIgnoringCase("bool") { return .bool }
            if bytes.hasPrefixIgnoringCase("uuid") { return .uuid }
            return typeNames.first { bytes.containsIgnoringCase($0.part) }?.type
        }
    }

    /// The type for each substring of a declaration; the first match counts.
    private static let typeNames: [(part: StaticString, type: DataType.Name)] = [
        ("int", .int8), ("char", .text), ("clob", .text), ("text", .text), ("blob", .bytea),
        ("bytea", .bytea), ("numeric", .numeric), ("decimal", .numeric), ("real", .numeric),
        ("floa", .numeric), ("doub", .numeric),
    ]

    /// Returns the value of a number's text. A text that is not a number, such as "Inf", remains a text.
    private static func decimal(_ text: String) -> Value {
        let digits = text.utf8.prefix { $0 != UInt8(ascii: "e") && $0 != UInt8(ascii: "E") }
        let precision = digits.count { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        let scale = digits.firstIndex(of: UInt8(ascii: ".")).map {
            digits.distance(from: $0, to: digits.endIndex) - 1
        }
        return Value.numeric(
            text, precision: UInt16(clamping: precision), scale: UInt16(clamping: scale ?? 0))
            ?? .text(text)
    }

    /// Returns a decimal's text as an integer if that preserves it exactly.
    private static func integer(_ text: String) -> Int64? {
        guard let number = Int64(text), "\(number)" == text else { return nil }
        return number
    }

    private static func uuid(_ text: String) -> Value? {
        guard text.utf8.count == 36, let bytes = try? Hex.decode(text.filter { $0 != "-" }),
            RawText(Value.uuidText(SharedBytes(bytes))) == RawText(text).foldedASCII
        else { return nil }
        return .uuid(bytes)
    }

    /// Returns an array as JSON for use with `json_each`. Bytes become hexadecimal digits; decimals that are not 64-bit
    /// integers become strings.
    private static func json(_ elements: [Value.Element]) -> String {
        var text = "["
        for (index, element) in elements.enumerated() {
            if index > 0 { text += "," }
            switch element {
            case .null: text += "null"
            case .text(let value): text += quoted(value)
            case .int8(let value): text += "\(value)"
            case .bytea(let value): text += "\"\(Hex.encode(value.array))\""
            case .bool(let value): text += value ? "true" : "false"
            case .uuid(let value): text += "\"\(Value.uuidText(value))\""
            case .numeric(let value): text += integer(value).map { "\($0)" } ?? "\"\(value)\""
            }
        }
        return text + "]"
    }

    private static func quoted(_ value: String) -> String {
        var text: [UInt8] = [UInt8(ascii: "\"")]
        text.reserveCapacity(value.utf8.count + 2)
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                text.append(UInt8(ascii: "\\"))
                text.append(byte)
            case ..<0x20:
                text += "\\u00".utf8
                withUnsafeBytes(of: byte) { Hex.append($0, to: &text) }
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
        return String(decoding: text, as: UTF8.self)
    }
}
