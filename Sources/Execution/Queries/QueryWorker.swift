import Bytes
import CShims
import Chain
import Glibc

/// The query process, which a node starts to answer its queries one after another. It reads the database's committed
/// state and can do nothing else (docs/execution.md, "Queries").
public enum QueryWorker {
    /// The subcommand that runs it. No help lists it, because only a node starts it.
    public static let command = "query-worker"
    /// The socket to the node.
    private static let socket: Int32 = 3
    /// The address space beyond SQLite's memory, in bytes: three copies of the largest value, and what malloc wastes.
    private static let extraSpace = 64 << 20
    /// The maximum size of a file: the process writes none, but SQLite may map more of its shared memory.
    private static let fileBytes: UInt = 16 << 20
    /// The time beyond that of a query after which the kernel ends a process that has lost its node, in seconds.
    private static let grace: UInt32 = 10

    /// Answers queries until the node closes the socket, with a page cache of up to `cacheBytes`; returns the exit status.
    public static func run(database: String, cacheBytes: Int) -> Int32 {
        apus_sandbox_begin(socket)
        // Writing to a closed socket must return an error.
        signal(SIGPIPE, SIG_IGN)
        var writer = QueryFrameWriter(socket: socket)
        do throws(ExecutionError) {
            let reader = try open(database, cacheBytes)
            writer.ready(try confine(cacheBytes))
            serve(reader, &writer)
            return 0
        } catch {
            writer.failed(error)
            return 1
        }
    }

    private static func open(_ database: String, _ cacheBytes: Int) throws(ExecutionError) -> SQLReader {
        let reader: SQLReader
        do throws(SQLiteFailure) { reader = try SQLReader(path: database) } catch { throw error.nodeError }
        try reader.prepareForSandbox(cacheBytes: cacheBytes)
        // Reads the time zone's file, which SQLite's local time needs.
        tzset()
        return reader
    }

    /// Gives up everything that no query needs. Returns the protection that the kernel lacks, or an empty text.
    private static func confine(_ cacheBytes: Int) throws(ExecutionError) -> String {
        let heap = QueryLimits.memory + cacheBytes
        sqlite3_hard_heap_limit64(Int64(heap))
        let error = apus_sandbox_limit(UInt(heap + extraSpace), fileBytes)
        guard error == 0 else {
            throw .queryProcess(
                "cannot limit the resources of the query process: \(String(cString: strerror(error)))")
        }
        let refusal = apus_sandbox_filter(socket)
        return refusal == 0 ? "" : "cannot filter system calls: \(String(cString: strerror(refusal)))"
    }

    private static func serve(_ reader: SQLReader, _ writer: inout QueryFrameWriter) {
        while let frame = readFrame() {
            guard let question = try? QueryQuestion(decoding: frame) else { return }
            alarm(UInt32(clamping: question.limits.time.components.seconds) &+ grace)
            do throws(ExecutionError) {
                try reader.query(question.sql, question.parameters, question.limits, into: &writer)
            } catch {
                writer.failed(error)
            }
            alarm(0)
        }
    }

    private static func readFrame() -> SharedBytes? {
        guard let header = read(QueryFrame.headerBytes) else { return nil }
        let count = header.reversed().reduce(0) { $0 << 8 | Int($1) }
        guard count <= QueryFrame.questionBytes, let frame = read(count) else { return nil }
        return SharedBytes(frame)
    }

    private static func read(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = bytes.withUnsafeMutableBytes {
                Glibc.read(socket, $0.baseAddress.map { $0 + filled }, count - filled)
            }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { return nil }
            filled += got
        }
        return bytes
    }
}
