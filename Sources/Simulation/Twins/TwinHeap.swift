import CShims

/// What SQLite's memory is like for a twin's blocks.
///
/// SQLite asks the allocator how large a piece of memory really is, and uses all of it for arrays that grow: so the
/// allocator decides where such an array meets a limit. (Debian's SQLite has no lookaside that could be switched off.)
public enum TwinHeap: CaseIterable, Sendable {
    /// As a node's.
    case ordinary
    /// Pieces come larger than asked for and filled with a pattern, there is a small limit, and the page cache holds
    /// next to nothing.
    case odd

    /// As SQLite's own allocator has it.
    private static let ordinaryGrain: Int32 = 8
    /// No power of two, so that arrays which double end elsewhere.
    private static let grain: Int32 = 208
    /// What a block of the simulator's and the fuzzer's statements has to do with: a part of what docs/execution.md
    /// says that a node needs.
    private static let limit: Int64 = 192 << 20

    /// Gives SQLite the heap that can be made odd, for the whole process: without it, a twin's differs in its page
    /// cache alone. To be called before anything else of SQLite's.
    public static func install() throws {
        guard apus_sqlite_heap_install() == SQLITE_OK else {
            throw CheckerFailure("simulator", "SQLite is in use already and cannot have another heap")
        }
    }

    /// The most bytes that SQLite has from the calling thread beyond what it has now, while `body` runs. The heap must be
    /// installed.
    static func peak(_ body: () throws -> Void) rethrows -> Int64 {
        apus_sqlite_heap_begin(ordinaryGrain, Int64.max)
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
        apus_sqlite_heap_begin(Self.grain, Self.limit)
        defer { apus_sqlite_heap_end() }
        return try body()
    }
}
