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

        var keywords: Set<String> {
            switch self {
            case .statement:
                [
                    "INSERT", "REPLACE", "UPDATE", "DELETE", "WITH", "SELECT", "VALUES", "CREATE", "ALTER",
                    "DROP",
                ]
            case .query:
                ["SELECT", "WITH", "VALUES"]
            }
        }
    }

    init(_ text: String, for purpose: Purpose) throws(StatementFault) {
        guard text.utf8.count <= ExecutionLimits.statementBytes else {
            throw .refused("the statement is longer than \(ExecutionLimits.statementBytes) bytes")
        }
        let statement = try Self.withoutNamespace(text)
        var scanner = SQLScanner(statement)
        guard !scanner.bytes.contains(0) else { throw .refused("the statement contains a NUL character") }
        guard let first = scanner.next() else { throw .refused("the statement is empty") }
        let keyword = scanner.upper(first)
        guard purpose.keywords.contains(keyword) else {
            throw .refused("statements may not begin with \(keyword.prefix(20))")
        }
        var end: Int?
        while let token = scanner.next() {
            guard end == nil else { throw .refused("only one statement is allowed") }
            switch token.kind {
            case .word where token.range.count == 8 && scanner.upper(token) == "ROLLBACK":
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
