import Chain
import Multiformats

/// A transaction's statement as SQLite compiled it, with what its preparation found out.
final class CompiledStatement {
    let statement: SQLiteStatement
    let text: StatementText
    let findings: StatementPolicy.Findings
    /// The parameters in SQLite's order: each name with its sign and without.
    private let parameters: [(name: RawText, bare: RawText)]
    fileprivate var lastUse: UInt64 = 0

    init(_ statement: SQLiteStatement, _ text: StatementText, _ findings: StatementPolicy.Findings)
        throws(StatementFault)
    {
        self.statement = statement
        self.text = text
        self.findings = findings
        var parameters: [(name: RawText, bare: RawText)] = []
        for index in 0..<statement.parameterCount {
            guard let name = statement.parameterName(index + 1), let sign = name.utf8.first,
                "$@:".utf8.contains(sign)
            else {
                throw .refused("parameters need names such as $id")
            }
            parameters.append((name, RawText(decoding: name.utf8.dropFirst())))
        }
        self.parameters = parameters
    }

    /// Binds each parameter by its name, with its sign or without. Values that the statement does not name are not
    /// looked at.
    func bind(_ values: [RawStatement.Parameter]) throws(SQLiteFailure) -> StatementFault? {
        for (index, parameter) in parameters.enumerated() {
            let value: Value
            if index < values.count, values[index].name == parameter.name {
                value = values[index].value
            } else if let found = values.first(where: {
                $0.name == parameter.name || $0.name == parameter.bare
            }) {
                value = found.value
            } else {
                return .refused("parameter \(parameter.name) has no value")
            }
            try StoredValue.bind(value, to: statement, at: index + 1)
        }
        return nil
    }
}

/// The transactions' statements that were used last, ready to run again.
struct StatementCache {
    private var entries: [RawText: CompiledStatement] = [:]
    private var clock: UInt64 = 0

    /// The statement of this text, as it came.
    mutating func find(_ text: RawText) -> CompiledStatement? {
        guard let entry = entries[text] else { return nil }
        clock &+= 1
        entry.lastUse = clock
        return entry
    }

    /// Keeps a statement; the one that was not used for the longest time makes room.
    mutating func insert(_ statement: CompiledStatement, for text: RawText) {
        if entries.count >= ExecutionLimits.cachedStatements {
            // `lastUse` differs between any two, so that the order of iteration makes no difference.
            if let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) {
                entries[oldest.key] = nil
            }
        }
        clock &+= 1
        statement.lastUse = clock
        entries[text] = statement
    }

    /// Forgets all: the schema has changed, and what was compiled before it would be compiled again in mid-run.
    mutating func removeAll() {
        entries = [:]
    }
}
