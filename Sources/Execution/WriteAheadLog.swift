import CShims
import Chain
import Glibc

/// Keeps SQLite's write-ahead log short, and the database from being joined with a log that is not its own.
///
/// Frames are copied back into the database as soon as the log has `ExecutionLimits.walPages`. Readers that look into
/// it keep it from beginning anew, so a commit waits for them when it has `crowdedWALPages`: each reads for as long as a
/// query may, and those that come meanwhile read past the log.
///
/// A log overlays the database as it was when the log began, or later; on an older one, a backup for instance, it makes
/// nonsense of both. So the height at which the present log began stands in a file of its own beside it, with the salts
/// by which SQLite tells one log from the next.
final class WriteAheadLog {
    private let connection: SQLiteConnection
    private let stopFlag: StopFlag
    private var pages = 0
    private var noted: Beginning?
    private var deadline = ContinuousClock.now

    /// Which log, and the height of the database that it began on.
    private struct Beginning: Hashable {
        var salts: [UInt8]
        var height: Int64

        private static let saltBytes = 8

        /// As it is noted; nil if it is not, or not as a whole.
        static func noted(besides path: String) -> Beginning? {
            let size = saltBytes + 8
            guard let bytes = WriteAheadLog.read(notePath(path), offset: 0, count: size) else { return nil }
            let height = bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return Beginning(salts: Array(bytes.prefix(saltBytes)), height: Int64(bitPattern: height))
        }

        /// The salts of the log that is there, from its header (https://sqlite.org/fileformat2.html#walformat).
        static func salts(ofLogOf path: String) -> [UInt8]? {
            WriteAheadLog.read(path + "-wal", offset: 16, count: saltBytes)
        }

        /// Replaces the note. A crash between keeps the older one, which no longer fits the log and says nothing.
        func note(besides path: String) {
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

    /// Watches the log of a connection that writes, for as long as both live. A wait for readers ends when `stopFlag`
    /// is raised.
    init(of connection: SQLiteConnection, stopFlag: StopFlag) {
        self.connection = connection
        self.stopFlag = stopFlag
        noted = Beginning.noted(besides: connection.path)
        // A log whose beginning a crash kept from being noted: nothing is known of it.
        if let salts = Beginning.salts(ofLogOf: connection.path), salts != noted?.salts {
            noted = Beginning(salts: salts, height: .min)
        }
        sqlite3_wal_hook(
            connection.handle,
            { context, _, _, pages in
                guard let context else { return SQLITE_OK }
                Unmanaged<WriteAheadLog>.fromOpaque(context).takeUnretainedValue().pages = Int(pages)
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Refuses a database that is older than the log beside it. To be called before anything opens the two.
    static func check(_ path: String) throws(ExecutionError) {
        guard let noted = Beginning.noted(besides: path), Beginning.salts(ofLogOf: path) == noted.salts,
            let height = heightOfDatabaseAlone(path), height < noted.height
        else { return }
        throw .olderThanLog(file: path, height: height, logHeight: noted.height)
    }

    /// The height in the database's file without its log; nil if there is none, or if a crash left a copying half done,
    /// which the log mends.
    private static func heightOfDatabaseAlone(_ path: String) -> Int64? {
        do throws(SQLiteFailure) {
            let connection = try SQLiteConnection(path: path, access: .fileAlone)
            return try StoredState.load(connection)?.tip.height
        } catch {
            return nil
        }
    }

    /// A block was committed on the state of `height`: notes whether the log began anew with it, and tidies the log when
    /// it is long.
    func committed(on height: Int64) {
        if let salts = Beginning.salts(ofLogOf: connection.path), salts != noted?.salts {
            let beginning = Beginning(salts: salts, height: height)
            beginning.note(besides: connection.path)
            noted = beginning
        }
        guard pages >= ExecutionLimits.walPages else { return }
        let isCrowded = pages >= ExecutionLimits.crowdedWALPages
        checkpoint(SQLITE_CHECKPOINT_RESTART, patience: isCrowded ? ExecutionLimits.readerPatience : .zero)
    }

    /// Copies back what can be, without waiting, and cuts the log if nobody looks into it.
    func finish() {
        guard checkpoint(SQLITE_CHECKPOINT_TRUNCATE, patience: .zero) else { return }
        // A backup made now is whole without it, and what is put back must not contradict a newer note.
        unlink(notePath(connection.path))
        noted = nil
    }

    @discardableResult
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

    /// Lets a little time pass for readers to end; false when it is enough. Runs on the thread that commits.
    private func waitsOn() -> Bool {
        guard !stopFlag.isRaised, ContinuousClock.now < deadline else { return false }
        usleep(ExecutionLimits.readerPauseMicroseconds)
        return true
    }

    /// So many bytes of a file; nil if it does not have them.
    private static func read(_ path: String, offset: Int, count: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { Glibc.close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        return pread(descriptor, &bytes, count, off_t(offset)) == count ? bytes : nil
    }
}

/// The file that notes where the write-ahead log of a database began.
private func notePath(_ path: String) -> String { path + "-log" }
