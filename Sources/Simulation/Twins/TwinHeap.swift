import CShims

/// The memory that SQLite has for a twin's blocks.
public enum TwinHeap: CaseIterable, Sendable {
    /// The same as in a node.
    case ordinary
    /// Allocations come filled with a pattern, the limit is small, and the page cache holds a single page.
    case odd

    /// The memory for a block of the simulator's and the fuzzer's statements, in bytes: part of the amount that
    /// docs/execution.md requires for a node.
    private static let limit: Int64 = 192 << 20

    /// Returns the maximum number of bytes that SQLite allocates on the calling thread while `body` runs, beyond
    /// those it has before.
    static func peak(_ body: () throws -> Void) rethrows -> Int64 {
        apus_sqlite_heap_begin(0, Int64.max)
        do {
            try body()
        } catch {
            _ = apus_sqlite_heap_end()
            throw error
        }
        return apus_sqlite_heap_end()
    }

    /// The size of the page cache, in pages; nil for a node's.
    var cachedPages: Int? { self == .odd ? 1 : nil }

    /// Runs `body` with this heap.
    func run<Result>(_ body: () throws -> Result) rethrows -> Result {
        guard self == .odd else { return try body() }
        apus_sqlite_heap_begin(1, Self.limit)
        defer { apus_sqlite_heap_end() }
        return try body()
    }
}
