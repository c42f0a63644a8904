import Glibc

/// Hands batches to an output and keeps count of what is lost on the way. Used by the log's thread only.
struct LogDelivery: Sendable {
    private let format: LogFormat
    private var output: LogOutput
    private var lost = 0
    private var reason = ""

    init(_ format: LogFormat, _ output: LogOutput) {
        self.format = format
        self.output = output
    }

    /// Writes a batch, and what was lost before and after it. Takes as long as the output takes.
    mutating func deliver(_ batch: borrowing LogBatch) {
        tellLoss()
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
        reason = "its reader was too slow"
        if works { tellLoss() }
    }

    private mutating func tellLoss() {
        guard lost > 0 else { return }
        let event = LogEvent(
            time: .now, level: .warning, source: "log", message: "events of the log are lost",
            fields: ["events": .number(lost), "reason": .text(reason)])
        var bytes: [UInt8] = []
        format.append(event, to: &bytes)
        let (_, error) = bytes.withUnsafeBytes { output.write($0) }
        if error == 0 { lost = 0 }
    }
}

/// Where events go.
enum LogOutput: Sendable {
    case lines(LineOutput)
    case journal(JournalOutput)

    /// How many of the events from `first` on, which begins at `start`, make one `write`: as many whole lines as a pipe
    /// keeps together, so that lines of processes that share it do not mix; one entry of the journal.
    func share(of ends: [Int], from first: Int, start: Int) -> Int {
        guard case .lines = self else { return 1 }
        var count = 1
        while first + count < ends.count, ends[first + count] - start <= Int(PIPE_BUF) { count += 1 }
        return count
    }

    /// Writes some events. Returns how many bytes are out, and 0 or the `errno` that kept the rest back.
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
