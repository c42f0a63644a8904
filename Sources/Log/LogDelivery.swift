import Glibc

/// Passes batches to an output and counts the events lost on the way. Used only by the log's thread.
struct LogDelivery: Sendable {
    private let format: LogFormat
    private var output: LogOutput
    private var lost = 0
    private var reason = ""

    init(_ format: LogFormat, _ output: LogOutput) {
        self.format = format
        self.output = output
    }

    /// Writes a batch, preceded and followed by a report of lost events if there are any. Blocks as long as
    /// the output does.
    mutating func deliver(_ batch: borrowing LogBatch) {
        reportLoss()
        var works = true
        batch.bytes.withUnsafeBytes { bytes in
            var (first, start) = (0, 0)
            while first < batch.ends.count {
                let count = output.share(of: batch.ends, from: first, start: start)
                let end = batch.ends[first + count - 1]
                let (written, error) = output.write(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                works = error == 0
                if !works {
                    lost += batch.ends[first..<first + count].count { $0 - start > written }
                    reason = String(cString: strerror(error))
                }
                (first, start) = (first + count, end)
            }
        }
        guard batch.refused > 0 else { return }
        lost += batch.refused
        reason = "the log's reader was too slow"
        if works { reportLoss() }
    }

    private mutating func reportLoss() {
        guard lost > 0 else { return }
        let event = LogEvent(
            time: .now, level: .warning, source: "log", message: "log events were lost",
            fields: ["events": .number(lost), "reason": .text(reason)])
        var bytes: [UInt8] = []
        format.append(event, to: &bytes)
        let (_, error) = bytes.withUnsafeBytes { output.write($0) }
        if error == 0 { lost = 0 }
    }
}

/// The destination of events.
enum LogOutput: Sendable {
    case lines(LineOutput)
    case journal(JournalOutput)

    /// Returns how many events from `first`, which begins at `start`, one `write` takes: for lines, as many
    /// whole lines as a pipe writes atomically, so that lines of processes sharing the pipe do not mix; for
    /// the journal, one entry.
    func share(of ends: [Int], from first: Int, start: Int) -> Int {
        guard case .lines = self else { return 1 }
        var count = 1
        while first + count < ends.count, ends[first + count] - start <= Int(PIPE_BUF) { count += 1 }
        return count
    }

    /// Writes some events. Returns the number of bytes written, and 0 or the `errno` of the failure.
    mutating func write(_ bytes: UnsafeRawBufferPointer) -> (written: Int, error: Int32) {
        switch self {
        case .journal(let journal): return journal.write(bytes)
        case .lines(var lines):
            let result = lines.write(bytes)
            self = .lines(lines)
            return result
        }
    }
}
