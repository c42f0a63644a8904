import Bytes

/// What a column holds in rows that are older than it (docs/execution.md, "Tables").
///
/// Such rows read the default from the schema, converted to the column's type as when it is stored. SQLite 3.40 leaves
/// out two conversions. A row then changes its value when it is next written, while an index keeps the old one as its
/// key, and SQLite takes the database for damaged when the row is deleted.
struct ColumnDefault {
    /// The type of the column as declared; empty when there is none.
    let type: RawText
    /// The default as the schema has it.
    let text: String

    /// How values are converted when they are stored (https://sqlite.org/datatype3.html, section 3.1).
    private enum Affinity { case integer, text, blob, real, numeric }

    /// Digits of a whole number that is the same as a real number, whichever they are.
    private static let exactDigits = 15

    /// Why the column may not have this default; nil when it may.
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

    /// Whether a number, or a text that may be one, has more digits before its point than a real number can hold.
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
