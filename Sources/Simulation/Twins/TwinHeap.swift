import CShims

/// What SQLite's memory is like for a twin's blocks.
public enum TwinHeap: CaseIterable, Sendable {
    /// As a node's.
    case ordinary
    /// Pieces come filled with a pattern, there is a small limit, and the page cache holds next to nothing.
    case odd

    /// What a block of the simulator's and the fuzzer's statements has to do with: a part of what docs/execution.md
    /// says that a node needs.
    private static let limit: Int64 = 192 << 20

    /// The most bytes that SQLite has from the calling thread beyond what it has now, while `body` runs.
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

    /// Pages in memory; nil for as many as a node keeps.
    var cachedPages: Int? { self == .odd ? 1 : nil }

    /// Runs `body` with this heap.
    func run<Result>(_ body: () throws -> Result) rethrows -> Result {
        guard self == .odd else { return try body() }
        apus_sqlite_heap_begin(1, Self.limit)
        defer { apus_sqlite_heap_end() }
        return try body()
    }
}
