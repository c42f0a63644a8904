import Glibc
import Synchronization

@testable import Log

/// Records the logged events.
final class Events: LogSink {
    private let events = Mutex<[LogEvent]>([])
    var all: [LogEvent] { events.withLock { $0 } }
    func write(_ event: LogEvent) { events.withLock { $0.append(event) } }
}

/// A pipe; either end may be closed early.
final class Pipe {
    let reader: Int32
    let writer: Int32
    private var open: Set<Int32>

    init() {
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0)
        // Processes that other tests start must not keep it open.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (reader, writer) = (ends[0], ends[1])
        open = [reader, writer]
    }

    deinit { for end in open { Glibc.close(end) } }

    func close(_ end: Int32) { if open.remove(end) != nil { Glibc.close(end) } }

    /// Reads all lines, on another thread, until the last writer is gone.
    func lines() throws -> OnThread<[String]> {
        try OnThread { [reader] in
            var all: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while case let count = read(reader, &buffer, buffer.count), count > 0 { all += buffer[..<count] }
            return all.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        }
    }
}

/// A blocking operation on a thread of its own, because tasks share too few.
final class OnThread<Value: Sendable>: Sendable {
    private let result = Monitor<Value?>(nil)

    init(_ body: @escaping @Sendable () -> Value) throws {
        try LogThread.start { [result] in
            let value = body()
            result.withLock { $0 = value }
            result.signal()
        }
    }

    /// Waits for the result.
    var value: Value? { result.wait { $0 } }
}

/// A descriptor that refers first to one file and then to another. Its number is high, so that no file opened
/// meanwhile gets it.
final class Descriptor {
    let number: Int32

    /// Makes the descriptor refer to the same file as `other`.
    init(_ other: Int32) { number = fcntl(other, F_DUPFD_CLOEXEC, 700) }

    deinit { close(number) }

    func lead(to other: Int32) {
        dup2(other, number)
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
    }
}

extension LogFormat {
    /// Returns the bytes of an event at 2026-11-27T20:00:00.000001Z.
    func bytes(
        _ fields: LogFields, _ message: StaticString = "peer connected", level: Log.Level = .info
    ) -> [UInt8] {
        var out: [UInt8] = []
        append(
            LogEvent(
                time: LogTime(seconds: 1_795_809_600, microseconds: 1), level: level, source: "node",
                message: message, fields: fields), to: &out)
        return out
    }

    func line(_ fields: LogFields) -> String { String(decoding: bytes(fields), as: UTF8.self) }
}
