import Synchronization

@testable import Log

/// Collects the lines written to a log.
final class LogLines: LogSink {
    private let bytes = Mutex<[UInt8]>([])

    func write(_ event: LogEvent) { bytes.withLock { LogFormat.text.append(event, to: &$0) } }

    /// The lines, without line ends.
    var all: [[UInt8]] { bytes.withLock { $0.split(separator: 10).map { Array($0) } } }

    private func lines(having text: String) -> [String] {
        all.map { String(decoding: $0, as: UTF8.self) }.filter { $0.contains(text) }
    }

    /// Returns the first line that contains a text.
    func having(_ text: String) -> String? { lines(having: text).first }

    /// Returns the number of lines that contain a text.
    func count(_ text: String) -> Int { lines(having: text).count }
}
