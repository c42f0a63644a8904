import Bytes
import Chain

/// The parameters of a statement from outside, which are bound by name.
struct NamedParameters {
    /// The names in SQLite's order, each with its sign and without it.
    private let names: [(signed: RawText, bare: RawText)]

    /// Throws if a parameter of the statement has no name.
    init(of statement: SQLiteStatement) throws(StatementFault) {
        var names: [(signed: RawText, bare: RawText)] = []
        for index in 0..<statement.parameterCount {
            guard let name = statement.parameterName(index + 1), let sign = name.utf8.first,
                "$@:".utf8.contains(sign)
            else { throw StatementFault("parameters need names such as $id") }
            names.append((name, RawText(decoding: name.utf8.dropFirst())))
        }
        self.names = names
    }

    /// Binds each parameter to the value of its name; a value named with the sign takes precedence. Ignores values that
    /// the statement does not name. Returns the size of the bound values in bytes.
    func bind(
        _ values: [RawStatement.Parameter], to statement: SQLiteStatement
    ) throws(SQLiteFailure) -> Result<Int, StatementFault> {
        var byName: [RawText: Value]?
        var bytes = 0
        for (index, name) in names.enumerated() {
            let value: Value
            if index < values.count, values[index].name == name.signed {
                value = values[index].value
            } else {
                let named =
                    byName
                    ?? Dictionary(values.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
                byName = named
                guard let found = named[name.signed] ?? named[name.bare] else {
                    return .failure(StatementFault("parameter \(name.signed) has no value"))
                }
                value = found
            }
            bytes += value.elements.reduce(0) { $0 + StoredValue.size(of: $1) }
            try StoredValue.bind(value, to: statement, at: index + 1)
        }
        return .success(bytes)
    }
}
