import Bytes
import Chain
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Execution

/// The length of the write-ahead log, and databases beside a log that does not belong to them.
@Suite struct WriteAheadLogTests {
    let directory: TemporaryDirectory
    let blockBytes = 6_000_000

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func file(_ name: String, _ suffix: String = "") -> String {
        "\(directory.path)/\(name)/application.sqlite\(suffix)"
    }

    private func logBytes(_ name: String) -> Int {
        var status = stat()
        return stat(file(name, "-wal"), &status) == 0 ? Int(status.st_size) : 0
    }

    private func put(_ chain: ApplicationChain, _ rows: Range<Int>) throws {
        for row in rows {
            let result = try chain.run("INSERT INTO t VALUES (\(row), zeroblob(\(blockBytes)))")
            #expect(result.isOK)
        }
    }

    @Test func readersWithoutAPauseDoNotLetItGrow() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB)")
        let readers = try OverlappingReaders(file("a"))
        defer { readers.stop() }
        var longest = 0
        for row in 0..<25 {
            try put(chain, row..<row + 1)
            longest = max(longest, logBytes("a"))
        }
        #expect(longest <= 64 << 20)
        #expect(readers.stop() > 0)
    }

    @Test func itBeginsAnewByItself() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB)")
        try put(chain, 0..<12)
        #expect(logBytes("a") < 4 * blockBytes)
    }

    /// Leaves a chain in the folder "a", its database at height 1 in "backup", and the state of a killed node in
    /// "killed", whose log has restarted since.
    private func crash() throws -> ApplicationTip {
        do {
            let chain = try ApplicationChain(try directory.open())
            try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB)")
            chain.application.close()
        }
        try TestFile.copy("\(directory.path)/a", to: "\(directory.path)/backup")
        let chain = try ApplicationChain(try directory.open())
        try put(chain, 0..<5)
        try TestFile.copy("\(directory.path)/a", to: "\(directory.path)/killed")
        return chain.application.tip
    }

    private func putBackupBack() throws {
        try TestFile.remove(file("killed"))
        try TestFile.copy(file("backup"), to: file("killed"))
    }

    @Test func aBackupBesideANewerLogIsRefused() throws {
        _ = try crash()
        try putBackupBack()
        let error = #expect(throws: ExecutionError.self) { try directory.open("killed") }
        guard case .olderThanLog(file("killed"), height: 1, let logHeight) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(logHeight > 1)
        // The remedy that the error names.
        for suffix in ["-wal", "-shm"] { try TestFile.remove(file("killed", suffix)) }
        let chain = try ApplicationChain(try directory.open("killed"))
        #expect(chain.application.tip.height == 1)
        try put(chain, 0..<5)
    }

    @Test func whatACrashLeavesIsAccepted() throws {
        let tip = try crash()
        let chain = try ApplicationChain(try directory.open("killed"))
        #expect(chain.application.tip == tip)
        try put(chain, 5..<10)
    }

    @Test func aCrashBeforeTheNoteIsAccepted() throws {
        let tip = try crash()
        try TestFile.remove(file("killed", "-log"))
        do {
            let chain = try ApplicationChain(try directory.open("killed"))
            #expect(chain.application.tip == tip)
            try chain.run("INSERT INTO t VALUES (100, NULL)")
            try TestFile.copy("\(directory.path)/killed", to: "\(directory.path)/again")
        }
        // It is still the log without a note.
        #expect(!TestFile.exists(file("again", "-log")))
        #expect(try ApplicationChain(try directory.open("again")).application.tip.height == tip.height + 1)
    }

    @Test func aCleanEndLeavesTheDatabaseAlone() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB)")
        _ = try chain.execute([try chain.statement("INSERT INTO t VALUES (1, NULL)")])
        chain.application.close()
        for suffix in ["-wal", "-shm", "-log"] { #expect(!TestFile.exists(file("a", suffix))) }
    }

    @Test func namesWithSignsOfAnAddress() throws {
        let name = "a%20b?c#d é"
        do {
            let chain = try ApplicationChain(try directory.open(name))
            try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
            chain.application.close()
        }
        let alone = try SQLiteConnection(path: file(name), access: .fileAlone)
        #expect(try StoredState.load(alone)?.tip.height == 1)
    }
}

/// Two threads that read a database alternately, so that one of them always uses its log.
private final class OverlappingReaders: Sendable {
    private let isDone = Atomic(false)
    private let reads = Atomic(0)
    private let threads = Mutex<[pthread_t]>([])

    private final class Start {
        let readers: OverlappingReaders
        let connection: SQLiteConnection

        init(_ readers: OverlappingReaders, _ connection: SQLiteConnection) {
            self.readers = readers
            self.connection = connection
        }
    }

    init(_ path: String) throws {
        for _ in 0..<2 {
            let start = Start(self, try SQLiteConnection(path: path, access: .readOnly))
            var thread = pthread_t()
            let code = pthread_create(
                &thread, nil,
                { context in
                    guard let context else { return nil }
                    let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
                    start.readers.read(start.connection)
                    return nil
                }, Unmanaged.passRetained(start).toOpaque())
            #expect(code == 0)
            threads.withLock { $0.append(thread) }
        }
    }

    private func read(_ connection: SQLiteConnection) {
        while !isDone.load(ordering: .relaxed) {
            try? connection.execute("BEGIN; SELECT count(*) FROM t")
            usleep(200_000)
            try? connection.execute("COMMIT")
            reads.add(1, ordering: .relaxed)
        }
    }

    /// Stops the readers and returns the number of reads.
    @discardableResult
    func stop() -> Int {
        isDone.store(true, ordering: .relaxed)
        let threads = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in threads { pthread_join(thread, nil) }
        return reads.load(ordering: .relaxed)
    }
}
