import Bytes
import Chain
import Log

/// The printed form of a database value: different values look different, and none contains a tab or a line break.
///
/// | value | printed as |
/// | --- | --- |
/// | NULL | `NULL` |
/// | whole number, numeric | its digits |
/// | boolean | `true`, `false` |
/// | bytes | `x'00ff'`, as in SQL |
/// | array | its elements in brackets |
/// | text | itself, escaped; in quotation marks in an array, or if it looks like one of the above |
enum CellText {
    static func text(_ value: Value) -> String {
        guard let scalar = value.scalar else {
            return "[\(value.elements.map { text($0, isInArray: true) }.joined(separator: ", "))]"
        }
        return text(scalar, isInArray: false)
    }

    private static func text(_ element: Value.Element, isInArray: Bool) -> String {
        switch element {
        case .null: "NULL"
        case .text(let text): isInArray || readsAsOther(text) ? quoted(text) : EscapedText(text).description
        case .int8(let number): String(number)
        case .numeric(let digits): EscapedText(digits).description
        case .bool(let flag): flag ? "true" : "false"
        case .bytea(let bytes), .uuid(let bytes): "x'\(Hex.encode(bytes))'"
        }
    }

    private static func quoted(_ text: String) -> String {
        "\"\(EscapedText(text).description.replacing("\"", with: "\\\""))\""
    }

    private static func readsAsOther(_ text: String) -> Bool {
        guard let first = text.utf8.first else { return false }
        switch first {
        case UInt8(ascii: "\""), UInt8(ascii: "["): return true
        case UInt8(ascii: "x"): return text.utf8.starts(with: "x'".utf8)
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
            return Double(text) != nil
        default: return text == "NULL" || text == "true" || text == "false"
        }
    }
}
