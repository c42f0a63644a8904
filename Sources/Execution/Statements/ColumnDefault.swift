import Bytes

/// The default of a column, which rows older than the column contain (docs/execution.md, "Tables").
///
/// Older rows read the default from the schema, where SQLite should convert it to the column's type as it does when
/// storing. SQLite 3.40 omits two conversions. The row then changes its value at its next write, an index keeps the old
/// value as its key, and SQLite reports a damaged database when the row is deleted.
struct ColumnDefault {
    /// The declared type of the column; empty if there is none.
    let type: RawText
    /// The default as written in the schema.
    let text: String

    /// How SQLite converts stored values (https://sqlite.org/datatype3.html, section 3.1).
    private enum Affinity { case integer, text, blob, real, numeric }

    /// The number of digits of whole numbers that a real number always represents exactly.
    private static let exactDigits = 15

    /// Why the column may not have this default; nil if it may.
    var fault: String? {
        switch affinity {
        case .text where hasWord("true") || hasWord("false"):
            "a column of texts takes 'true' and 'false', not TRUE and FALSE"
        case .real where hasLongNumber || hasWord("cast"):
            "a column of real numbers takes no CAST and at most \(Self.exactDigits) digits before the point"
        default: nil
        }
    }

    private var affinity: Affinity {
        func has(_ parts: String...) -> Bool {
            parts.contains { type.foldedASCII.string.utf8.contains($0.utf8) }
        }
        if has("int") { return .integer }
        if has("char", "clob", "text") { return .text }
        if has("blob") || type.utf8.isEmpty { return .blob }
        return has("real", "floa", "doub") ? .real : .numeric
    }

    private func hasWord(_ word: StaticString) -> Bool {
        var scanner = SQLScanner(RawText(text))
        while let token = scanner.next() {
            if case .word = token.kind, scanner.isWord(token, word) { return true }
        }
        return false
    }

    /// Whether a number, or a text that may be one, has too many digits before its point for a real number.
    private var hasLongNumber: Bool {
        var digits = 0
        var isFraction = false
        for byte in text.utf8 {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else {
                isFraction = byte == UInt8(ascii: ".")
                digits = 0
                continue
            }
            digits += 1
            if digits > Self.exactDigits, !isFraction { return true }
        }
        return false
    }
}
