import Bytes
import Chain
import TestSupport
import Testing

@testable import Execution

/// Crashes, damaged files and full disks.
@Suite struct RecoveryTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func copy(_ name: String, to other: String) throws {
        try TestFile.copy("\(directory.path)/\(name)", to: "\(directory.path)/\(other)")
    }

    @Test func reopensAtTip() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY)")
        let tip = chain.application.tip
        let again = try ApplicationChain(try directory.open())
        #expect(again.application.tip == tip)
        #expect(try again.run("INSERT INTO t VALUES (1)").isOK)
    }

    /// With a prepared block and remaining references to the application, no file stays open and no lock stays held.
    @Test func closedApplicationsLetGoOfTheDatabase() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY)")
        _ = try chain.number("SELECT count(*) FROM t")
        let tip = chain.application.tip
        _ = try chain.execute([try chain.statement("INSERT INTO t VALUES (1)")])
        let log = "\(directory.path)/a/application.sqlite-wal"
        #expect(TestFile.exists(log))
        chain.application.close()
        // SQLite removes it when the last connection closes.
        #expect(!TestFile.exists(log))
        #expect(throws: ExecutionError.closed) { try chain.application.commit() }
        #expect(throws: ExecutionError.closed) { try chain.number("SELECT count(*) FROM t") }
        chain.application.close()

        let again = try ApplicationChain(try directory.open())
        #expect(again.application.tip == tip)
        #expect(try again.run("INSERT INTO t VALUES (1)").isOK)
    }

    @Test func crashBetweenPrepareAndCommitLosesTheBlockOnly() throws {
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY, a TEXT)")
        let tip = chain.application.tip
        var inserts: [Transaction] = []
        // More than the page cache holds, so that pages of the open transaction reach the log.
        for index in 0..<3_000 {
            inserts.append(
                try chain.statement(
                    "INSERT INTO t VALUES (\(index), $a)",
                    [("$a", .text(String(repeating: "x", count: 4_000)))]))
        }
        let prepared = try chain.execute(inserts)
        try copy("a", to: "crashed")
        try chain.application.commit()
        try copy("a", to: "committed")

        let crashed = try ApplicationChain(try directory.open("crashed"))
        #expect(crashed.application.tip == tip)
        #expect(try crashed.number("SELECT count(*) FROM t") == 0)
        #expect(try crashed.commit(inserts) == prepared)

        let committed = try ApplicationChain(try directory.open("committed"))
        #expect(committed.application.tip == ApplicationTip(height: 2, appHash: prepared.appHash))
        #expect(try committed.number("SELECT count(*) FROM t") == 3_000)
    }

    @Test func otherGenesisIsRefused() throws {
        _ = try ApplicationChain(try directory.open())
        let error = #expect(throws: ExecutionError.self) {
            try ApplicationChain(try directory.open(), balances: [(1, 5)])
        }
        #expect(error == .otherGenesis(file: "\(directory.path)/a/application.sqlite"))
    }

    @Test func garbageFileIsRefused() throws {
        let folder = "\(directory.path)/a"
        try DirectoryTree.create(folder)
        let file = "\(folder)/application.sqlite"
        try TestFile.write([UInt8](repeating: 0x41, count: 9_000), to: file)
        let error = #expect(throws: ExecutionError.self) { try directory.open() }
        #expect(error == .corrupt(file: file, reason: "file is not a database"))
    }

    @Test func otherProgramsDatabaseIsRefused() throws {
        let folder = "\(directory.path)/a"
        try DirectoryTree.create(folder)
        let file = "\(folder)/application.sqlite"
        do {
            let connection = try SQLiteConnection(path: file, access: .readWrite)
            try connection.execute("CREATE TABLE x (y)")
        }
        let error = #expect(throws: ExecutionError.self) { try directory.open() }
        #expect(error == .corrupt(file: file, reason: "not a database of this application and version"))
    }

    /// A flipped byte causes an error that names the file, or has no effect; it never traps.
    @Test func flippedBytesNeverTrap() throws {
        do {
            let chain = try ApplicationChain(try directory.open())
            try chain.run("CREATE TABLE t (id INT PRIMARY KEY, a TEXT)")
            for index in 0..<20 { try chain.run("INSERT INTO t VALUES (\(index), 'text \(index)')") }
        }
        let original = try TestFile.bytes("\(directory.path)/a/application.sqlite")
        let file = "\(directory.path)/b/application.sqlite"
        try DirectoryTree.create("\(directory.path)/b")
        var errors = 0
        for offset in stride(from: 0, to: original.count, by: 397) {
            var flipped = original
            flipped[offset] ^= 0xFF
            for suffix in ["-wal", "-shm"] { try? TestFile.remove(file + suffix) }
            try TestFile.write(flipped, to: file)
            do {
                let chain = try ApplicationChain(try directory.open("b"))
                _ = try chain.rows("SELECT * FROM t")
                _ = try chain.run("UPDATE t SET a = a || 'x'")
            } catch let error as ExecutionError {
                errors += 1
                #expect(!"\(error)".contains("\n"))
            }
        }
        #expect(errors > 0)
    }

    @Test func truncatedFileIsCorrupt() throws {
        do {
            let chain = try ApplicationChain(try directory.open())
            try chain.run("CREATE TABLE t (id INT PRIMARY KEY, a TEXT)")
        }
        let file = "\(directory.path)/a/application.sqlite"
        let data = try TestFile.bytes(file)
        try TestFile.write(Array(data.prefix(max(0, data.count - 5_000))), to: file)
        let error = #expect(throws: ExecutionError.self) {
            let chain = try ApplicationChain(try directory.open())
            _ = try chain.run("INSERT INTO t VALUES (1, 'x')")
        }
        guard case .corrupt(file, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func missingParentIsNamed() throws {
        let path = "\(directory.path)/no/such"
        #expect(throws: ExecutionError.unusable(file: path, reason: "No such file or directory")) {
            try SQLApplication(directory: path)
        }
    }

    @Test func fullDiskIsNamedAndLeavesTheTip() throws {
        let application = try directory.open()
        let chain = try ApplicationChain(application)
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY, a BLOB)")
        let tip = application.tip
        // SQLite reports a database at its maximum size like a full disk.
        func limit(toPages count: Int) throws {
            try application.onConnection { (connection) throws(SQLiteFailure) in
                try connection.execute("PRAGMA max_page_count = \(count)")
            }
        }
        try limit(toPages: 40)
        let insert = try chain.statement("INSERT INTO t VALUES (1, zeroblob(1000000))")
        #expect(throws: ExecutionError.diskFull(file: application.path)) { try chain.commit([insert]) }
        #expect(application.tip == tip)
        try limit(toPages: 1_000_000)
        #expect(try chain.commit([insert]).results[0].isOK)
    }
}
