/// A statement from outside after the checks that need no database: one namespace, one statement, one of the
/// allowed kinds.
struct StatementText: Hashable {
    /// The statement without Kwil's namespace prefix and without what follows its semicolon.
    let sql: String

    /// What a statement may begin with.
    enum Purpose {
        /// A transaction's.
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

    init(_ text: String, for purpose: Purpose) throws(StatementFault) {
        guard text.utf8.count <= ExecutionLimits.statementBytes else {
            throw .refused("the statement is longer than \(ExecutionLimits.statementBytes) bytes")
        }
        let statement = try Self.withoutNamespace(text)
        var scanner = SQLScanner(statement)
        guard !scanner.bytes.contains(0) else { throw .refused("the statement contains a NUL character") }
        guard let first = scanner.next() else { throw .refused("the statement is empty") }
        guard purpose.keywords.contains(where: { scanner.isWord(first, $0) }) else {
            throw .refused("statements may not begin with \(scanner.text(first).prefix(20))")
        }
        var end: Int?
        while let token = scanner.next() {
            guard end == nil else { throw .refused("only one statement is allowed") }
            switch token.kind {
            case .word where scanner.isWord(token, "rollback"):
                // INSERT OR ROLLBACK would undo the whole block. A column of the name can be quoted.
                throw .refused("ROLLBACK is not allowed")
            case .punctuation(UInt8(ascii: ";")):
                end = token.range.lowerBound
            default:
                break
            }
        }
        sql = end.map { String(decoding: scanner.bytes[..<$0], as: UTF8.self) } ?? statement
    }

    /// Takes off `{main}`, which Kwil's clients put before statements.
    private static func withoutNamespace(_ text: String) throws(StatementFault) -> String {
        let trimmed = text.drop(while: \.isWhitespace)
        guard trimmed.first == "{" else { return text }
        guard let end = trimmed.firstIndex(of: "}") else { throw .refused("the namespace has no end") }
        let name = trimmed[trimmed.index(after: trimmed.startIndex)..<end]
        guard name.lowercased() == "main" else {
            throw .refused(
                "unknown namespace \(String(name.prefix(64)).debugDescription): there is only main")
        }
        return String(trimmed[trimmed.index(after: end)...])
    }
}

/// Why a statement from outside was not run; every node finds the same.
enum StatementFault: Error {
    /// It is not allowed, or SQLite cannot compile it.
    case refused(String)

    var text: String {
        switch self {
        case .refused(let text): text
        }
    }
}
