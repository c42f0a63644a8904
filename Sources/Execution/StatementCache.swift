import Bytes
import Chain

/// A transaction's statement as SQLite compiled it, with what its preparation found out.
final class CompiledStatement {
    let statement: SQLiteStatement
    let text: StatementText
    let findings: StatementPolicy.Findings
    /// With all views and expressions in their places.
    let size: ExpandedSize
    /// The parameters in SQLite's order: each name with its sign and without.
    private let parameters: [(name: RawText, bare: RawText)]
    fileprivate var lastUse: UInt64 = 0

    init(
        _ statement: SQLiteStatement, _ text: StatementText, _ findings: StatementPolicy.Findings,
        _ size: ExpandedSize
    ) throws(StatementFault) {
        self.statement = statement
        self.text = text
        self.findings = findings
        self.size = size
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

    /// Binds each parameter by its name, with its sign before one without. Values that the statement does not name are
    /// not looked at. Returns the bytes of all that is bound.
    func bind(_ values: [RawStatement.Parameter]) throws(SQLiteFailure) -> Result<Int, StatementFault> {
        var byName: [RawText: Value]?
        var bytes = 0
        for (index, parameter) in parameters.enumerated() {
            let value: Value
            if index < values.count, values[index].name == parameter.name {
                value = values[index].value
            } else {
                let named =
                    byName
                    ?? Dictionary(values.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
                byName = named
                guard let found = named[parameter.name] ?? named[parameter.bare] else {
                    return .failure(.refused("parameter \(parameter.name) has no value"))
                }
                value = found
            }
            bytes += StoredValue.size(of: value)
            try StoredValue.bind(value, to: statement, at: index + 1)
        }
        return .success(bytes)
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
