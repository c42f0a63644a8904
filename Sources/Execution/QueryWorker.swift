import Bytes
import CShims
import Chain
import Glibc

/// The process that answers queries one after another: what `apus` runs when a node starts it with a socket in place of a
/// command line. It reads the database's committed state and can do nothing else (docs/execution.md, "Queries").
public enum QueryWorker {
    /// The word that stands for a command. No help shows it: only a node starts this.
    public static let command = "query-worker"
    /// The socket to the node.
    private static let socket: Int32 = 3
    /// Bytes of address space beyond SQLite's memory: the largest value in three copies, and what malloc loses.
    private static let extraSpace = 64 << 20
    /// Bytes of a file: no file is written to, but SQLite may map more of its shared memory.
    private static let fileBytes: UInt = 16 << 20
    /// Seconds beyond a query's time after which the kernel ends a process whose node has not.
    private static let grace: UInt32 = 10

    /// Answers until the node closes the socket; returns the process's exit status.
    public static func run(database: String) -> Int32 {
        apus_sandbox_begin(socket)
        // A socket that has gone is an error of the write.
        signal(SIGPIPE, SIG_IGN)
        var writer = QueryFrameWriter(socket: socket)
        do throws(ExecutionError) {
            let reader = try open(database)
            writer.ready(try confine())
            serve(reader, &writer)
            return 0
        } catch {
            writer.failed(error)
            return 1
        }
    }

    private static func open(_ database: String) throws(ExecutionError) -> SQLReader {
        let reader: SQLReader
        do throws(SQLiteFailure) { reader = try SQLReader(path: database) } catch { throw error.nodeError }
        try reader.prepareForSandbox()
        // Reads the time zone's file, for what SQLite calls local time.
        tzset()
        return reader
    }

    /// Gives up what no query needs. Returns what the kernel cannot do, or nothing.
    private static func confine() throws(ExecutionError) -> String {
        sqlite3_hard_heap_limit64(Int64(QueryLimits.memory))
        let error = apus_sandbox_limit(UInt(QueryLimits.memory + extraSpace), fileBytes)
        guard error == 0 else {
            throw .queryProcess("the kernel refuses limits: \(String(cString: strerror(error)))")
        }
        let refusal = apus_sandbox_filter(socket)
        return refusal == 0 ? "" : "no filter of system calls: \(String(cString: strerror(refusal)))"
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

/// Writes answers to the node's socket, in pieces. Without a node there is nothing left to do: the process ends.
struct QueryFrameWriter: QueryOutput {
    private let socket: Int32
    private var bytes = ByteWriter()
    private var values = ByteWriter()

    init(socket: Int32) { self.socket = socket }

    mutating func ready(_ note: String) {
        put(.ready) { $0.put(text32: note) }
        flush()
    }

    mutating func failed(_ error: ExecutionError) {
        values = ByteWriter()
        put(.failed) {
            $0.put(u8: QueryFrame.Failure(error).rawValue)
            $0.put(text32: QueryFrame.Failure.text(error))
        }
        flush()
    }

    mutating func begin(_ names: [String]) {
        put(.columns) { $0.put(u16: UInt16(clamping: names.count)) }
        for name in names { add(.text(name)) }
    }

    mutating func add(_ value: Value) {
        values.put(cell: value)
        guard values.bytes.count >= QueryFrame.pieceBytes else { return }
        putValues()
        flush()
    }

    mutating func end(_ types: [DataType.Name]) {
        putValues()
        put(.end) { body in
            for type in types { body.put(u8: UInt8(clamping: QueryFrame.types.firstIndex(of: type) ?? 0)) }
        }
        flush()
    }

    private mutating func putValues() {
        if values.bytes.isEmpty { return }
        let piece = values
        values = ByteWriter()
        put(.values) { $0.put(bytes: piece.bytes) }
    }

    private mutating func put(_ kind: QueryFrame.Kind, _ write: (inout ByteWriter) -> Void) {
        var body = ByteWriter()
        body.put(u8: kind.rawValue)
        write(&body)
        bytes.put(u32: UInt32(clamping: body.bytes.count))
        bytes.put(bytes: body.bytes)
    }

    private mutating func flush() {
        let frames = bytes.bytes
        bytes = ByteWriter()
        var sent = 0
        while sent < frames.count {
            let count = frames.withUnsafeBytes {
                write(socket, $0.baseAddress.map { $0 + sent }, frames.count - sent)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { _exit(0) }
            sent += count
        }
    }
}
