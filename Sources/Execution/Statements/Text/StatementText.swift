import Bytes

/// A statement from outside after the checks that need no database: a single statement of an allowed kind, in the only
/// namespace.
struct StatementText: Hashable {
    /// The statement without Kwil's namespace prefix, cut off before its semicolon.
    let sql: RawText
    /// The size of the longest token in bytes, which no constant exceeds.
    let widestToken: Int

    /// The use of a statement, which determines the keywords it may begin with.
    enum Purpose {
        /// A statement of a transaction.
        case statement
        /// A query.
        case query

        fileprivate var keywords: [StaticString] {
            switch self {
            case .statement: Self.statements
            case .query: Self.queries
            }
        }

        private static let queries: [StaticString] = ["select", "with", "values"]
        private static let statements =
            queries + ["insert", "replace", "update", "delete", "create", "alter", "drop"]
    }

    init(_ text: RawText, for purpose: Purpose) throws(StatementFault) {
        guard text.utf8.count <= CostModel.statementBytes.value else {
            throw StatementFault("the statement is longer than \(CostModel.statementBytes.value) bytes")
        }
        let statement = try Self.withoutNamespace(text)
        var scanner = SQLScanner(statement)
        guard !scanner.bytes.contains(0) else {
            throw StatementFault("the statement contains a NUL character")
        }
        guard let first = scanner.next() else { throw StatementFault("the statement is empty") }
        guard purpose.keywords.contains(where: { scanner.isWord(first, $0) }) else {
            throw StatementFault("statements may not begin with \(scanner.text(first).prefix(20))")
        }
        var end: Int?
        var widest = first.range.count
        while let token = scanner.next() {
            widest = max(widest, token.range.count)
            guard end == nil else { throw StatementFault("only one statement is allowed") }
            switch token.kind {
            case .word where scanner.isWord(token, "rollback"):
                // INSERT OR ROLLBACK would undo the whole block. A column of this name can be quoted.
                throw StatementFault("ROLLBACK is not allowed")
            case .word where scanner.isWord(token, "autoincrement"):
                // The recorder does not see its table of greatest row IDs, and what INSERT OR IGNORE leaves in that
                // table makes SQLite report a full disk.
                throw StatementFault("AUTOINCREMENT is not allowed: INTEGER PRIMARY KEY numbers rows as well")
            case .punctuation(UInt8(ascii: ";")):
                end = token.range.lowerBound
            default:
                break
            }
        }
        widestToken = widest
        sql = end.map { RawText(decoding: scanner.bytes[..<$0]) } ?? statement
    }

    /// Returns the size of the statement with its views expanded. Throws if it is too large.
    func expandedSize(_ sizes: SchemaSizes) throws(StatementFault) -> ExpandedSize {
        let size = ExpandedSize.of(sql, object: { $1 ? sizes.writtenSize($0) : sizes.size($0) })
        guard size.tokens > ExpandedSize.limit else { return size }
        throw StatementFault(
            "the statement has more than \(ExpandedSize.limit) tokens with all views and common table expressions in their places"
        )
    }

    /// Removes the prefix `{main}` of Kwil's clients.
    private static func withoutNamespace(_ text: RawText) throws(StatementFault) -> RawText {
        let bytes = text.utf8.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
        guard bytes.first == UInt8(ascii: "{") else { return text }
        guard let end = bytes.firstIndex(of: UInt8(ascii: "}")) else {
            throw StatementFault("the namespace has no end")
        }
        let name = RawText(decoding: bytes[..<end].dropFirst())
        guard name.foldedASCII == "main" else {
            throw StatementFault("unknown namespace \(name.quoted()): there is only main")
        }
        return RawText(decoding: bytes[bytes.index(after: end)...])
    }
}

/// Why a statement from outside was not run: it is not allowed, or SQLite cannot compile it. Every node finds the same
/// fault, and its text is part of the protocol.
struct StatementFault: Error {
    let text: String

    init(_ text: String) { self.text = text }
}
