import Bytes

/// The most recently used statements of transactions, compiled.
struct StatementCache {
    private var entries: [RawText: CompiledStatement] = [:]
    private var clock: UInt64 = 0

    /// Returns the statement with exactly this text.
    mutating func find(_ text: RawText) -> CompiledStatement? {
        guard let entry = entries[text] else { return nil }
        clock &+= 1
        entry.lastUse = clock
        return entry
    }

    /// Adds a statement; a full cache evicts the least recently used one.
    mutating func insert(_ statement: CompiledStatement, for text: RawText) {
        if entries.count >= ExecutionLimits.cachedStatements {
            // `lastUse` is unique, so the order of iteration does not matter.
            if let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) {
                entries[oldest.key] = nil
            }
        }
        clock &+= 1
        statement.lastUse = clock
        entries[text] = statement
    }

    /// Empties the cache after a schema change, because SQLite would recompile older statements while they run.
    mutating func removeAll() {
        entries = [:]
    }
}
