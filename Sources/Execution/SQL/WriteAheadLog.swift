import CShims
import Chain
import Glibc

/// Keeps SQLite's write-ahead log short, and refuses a database that does not belong with the log beside it.
///
/// Once the log has `ExecutionLimits.walPages`, each commit copies its frames back into the database (a checkpoint).
/// Readers that use the log keep it from restarting. Once it has `crowdedWALPages`, a commit therefore waits for them:
/// each reads no longer than a query may, and new readers bypass the log.
///
/// A log applies to the database as it was when the log started, or later. Applying it to an older one, such as a
/// backup, corrupts the database. A note beside the log therefore records the height at which the log started, with the
/// salts by which SQLite distinguishes one log from the next.
final class WriteAheadLog {
    private let connection: SQLiteConnection
    private let stopFlag: StopFlag
    private var pages = 0
    private var noted: Start?
    private var deadline = ContinuousClock.now

    /// The salts of a log, and the height of the database when the log started.
    private struct Start: Hashable {
        var salts: [UInt8]
        var height: Int64

        private static let saltBytes = 8

        /// Reads the note; nil if it is missing or incomplete.
        static func noted(beside path: String) -> Start? {
            let size = saltBytes + 8
            guard let bytes = WriteAheadLog.read(notePath(path), offset: 0, count: size) else { return nil }
            let height = bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return Start(salts: Array(bytes.prefix(saltBytes)), height: Int64(bitPattern: height))
        }

        /// Returns the salts in the header of the current log (https://sqlite.org/fileformat2.html#walformat).
        static func salts(ofLogOf path: String) -> [UInt8]? {
            WriteAheadLog.read(path + "-wal", offset: 16, count: saltBytes)
        }

        /// Replaces the note. A crash before that leaves the older note, which is ignored because it does not match the
        /// log.
        func note(beside path: String) {
            let bytes =
                salts + stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: height >> $0) }
            let (file, fresh) = (notePath(path), notePath(path) + ".new")
            let descriptor = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { return }
            let isWhole = write(descriptor, bytes, bytes.count) == bytes.count
            Glibc.close(descriptor)
            if isWhole { rename(fresh, file) } else { unlink(fresh) }
        }
    }

    /// Manages the log of a writing connection for as long as both exist. Raising `stopFlag` ends a wait for readers.
    init(of connection: SQLiteConnection, stopFlag: StopFlag) {
        self.connection = connection
        self.stopFlag = stopFlag
        noted = Start.noted(beside: connection.path)
        // A crash prevented the note, so the height at which this log started is unknown.
        if let salts = Start.salts(ofLogOf: connection.path), salts != noted?.salts {
            noted = Start(salts: salts, height: .min)
        }
        sqlite3_wal_hook(
            connection.handle,
            { context, _, _, pages in
                guard let context else { return SQLITE_OK }
                Unmanaged<WriteAheadLog>.fromOpaque(context).takeUnretainedValue().pages = Int(pages)
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Throws `olderThanLog` if the database is older than the log beside it. Call it before anything opens the two.
    static func check(_ path: String) throws(ExecutionError) {
        guard let noted = Start.noted(beside: path), Start.salts(ofLogOf: path) == noted.salts,
            let height = heightOfDatabaseAlone(path), height < noted.height
        else { return }
        throw .olderThanLog(file: path, height: height, logHeight: noted.height)
    }

    /// Returns the height in the database file without its log; nil if there is none, or if a crash left a checkpoint
    /// unfinished, which the log repairs.
    private static func heightOfDatabaseAlone(_ path: String) -> Int64? {
        do throws(SQLiteFailure) {
            let connection = try SQLiteConnection(path: path, access: .fileAlone)
            return try StoredState.load(connection)?.tip.height
        } catch {
            return nil
        }
    }

    /// Notes whether the log restarted with the block just committed on the state of `height`, and checkpoints a long
    /// log. Returns whether the database file now holds everything, durably.
    func committed(on height: Int64) -> Bool {
        if let salts = Start.salts(ofLogOf: connection.path), salts != noted?.salts {
            let start = Start(salts: salts, height: height)
            start.note(beside: connection.path)
            noted = start
        }
        guard pages >= ExecutionLimits.walPages else { return false }
        let isCrowded = pages >= ExecutionLimits.crowdedWALPages
        return checkpoint(
            SQLITE_CHECKPOINT_RESTART, patience: isCrowded ? ExecutionLimits.readerPatience : .zero)
    }

    /// Checkpoints without waiting, and truncates the log if no reader uses it.
    func finish() {
        guard checkpoint(SQLITE_CHECKPOINT_TRUNCATE, patience: .zero) else { return }
        // A backup made now is complete without the note, and restoring one must not contradict a newer note.
        unlink(notePath(connection.path))
        noted = nil
    }

    private func checkpoint(_ mode: Int32, patience: Duration) -> Bool {
        deadline = .now + patience
        sqlite3_busy_handler(
            connection.handle,
            { context, _ in
                guard let context else { return 0 }
                return Unmanaged<WriteAheadLog>.fromOpaque(context).takeUnretainedValue().waitsOn() ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
        defer { sqlite3_busy_timeout(connection.handle, ExecutionLimits.busyMilliseconds) }
        return sqlite3_wal_checkpoint_v2(connection.handle, nil, mode, nil, nil) == SQLITE_OK
    }

    /// Pauses to let readers finish; returns false at the deadline. Runs on the committing thread.
    private func waitsOn() -> Bool {
        guard !stopFlag.isRaised, ContinuousClock.now < deadline else { return false }
        usleep(ExecutionLimits.readerPauseMicroseconds)
        return true
    }

    /// Returns `count` bytes of a file; nil if it is shorter.
    private static func read(_ path: String, offset: Int, count: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { Glibc.close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        return pread(descriptor, &bytes, count, off_t(offset)) == count ? bytes : nil
    }
}

/// Returns the path of the note that records where the write-ahead log of a database started.
private func notePath(_ path: String) -> String { path + "-log" }
