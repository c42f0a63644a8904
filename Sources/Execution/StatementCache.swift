import Chain

/// A transaction's statement as SQLite compiled it, with what its preparation found out.
final class CompiledStatement {
    let statement: SQLiteStatement
    let text: StatementText
    let findings: StatementPolicy.Findings
    /// The parameters' names in SQLite's order.
    let parameterNames: [String]
    fileprivate var lastUse: UInt64 = 0

    init(_ statement: SQLiteStatement, _ text: StatementText, _ findings: StatementPolicy.Findings)
        throws(StatementFault)
    {
        self.statement = statement
        self.text = text
        self.findings = findings
        var names: [String] = []
        for index in 0..<statement.parameterCount {
            guard let name = statement.parameterName(index + 1), let sign = name.first, "$@:".contains(sign)
            else {
                throw .refused("parameters need names such as $id")
            }
            names.append(name)
        }
        parameterNames = names
    }

    /// Binds each parameter by its name. Values that the statement does not name are not looked at.
    func bind(_ parameters: [RawStatement.Parameter]) throws(SQLiteFailure) -> StatementFault? {
        for (index, name) in parameterNames.enumerated() {
            let parameter: RawStatement.Parameter
            if index < parameters.count, parameters[index].name == name {
                parameter = parameters[index]
            } else if let found = parameters.first(where: { $0.name == name || $0.name == name.dropFirst() })
            {
                parameter = found
            } else {
                return .refused("parameter \(name) has no value")
            }
            try StoredValue.bind(parameter.value, to: statement, at: index + 1)
        }
        return nil
    }
}

/// The transactions' statements that were used last, ready to run again.
struct StatementCache {
    private var entries: [String: CompiledStatement] = [:]
    private var clock: UInt64 = 0

    /// The statement of this text, as it came.
    mutating func find(_ text: String) -> CompiledStatement? {
        guard let entry = entries[text] else { return nil }
        clock &+= 1
        entry.lastUse = clock
        return entry
    }

    /// Keeps a statement; the one that was not used for the longest time makes room.
    mutating func insert(_ statement: CompiledStatement, for text: String) {
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
