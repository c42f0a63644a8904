import Glibc
import Reactor

/// The events of a simulation in order: a hash of all of them, and optionally readable lines.
@ReactorActor
final class Trace {
    /// FNV-1a over every event's time and words.
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var events = 0
    /// The error that ended writing to the file.
    private(set) var failure: String?
    private let file: Int32?
    private var lines = ""
    private static let linesInMemory = 1 << 20

    /// - Parameter file: the descriptor of the file for readable lines, which the caller closes; nil for none.
    init(file: Int32?) { self.file = file }

    /// Records an event: words for the hash, and a line if a file is open.
    func note(_ kind: StaticString, _ words: [UInt64], _ line: @autoclosure () -> String) {
        events += 1
        kind.withUTF8Buffer { for byte in $0 { mix(UInt64(byte)) } }
        mix(Trace.nanoseconds(Reactor.now))
        for word in words { mix(word) }
        guard file != nil else { return }
        lines += "\(Trace.time(Reactor.now)) \(kind) \(line())\n"
        if lines.utf8.count > Trace.linesInMemory { flush() }
    }

    /// Records an event whose line is also its words.
    func note(_ kind: StaticString, _ line: String) {
        note(kind, line.utf8.map { UInt64($0) }, line)
    }

    func flush() {
        var rest = Array(lines.utf8)[...]
        lines = ""
        guard let file, failure == nil else { return }
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                failure = String(cString: strerror(errno))
                return
            }
            rest = rest.dropFirst(count)
        }
    }

    private func mix(_ word: UInt64) {
        hash = (hash ^ word) &* 0x100_0000_01B3
        hash ^= hash >> 29
    }

    private static func nanoseconds(_ time: Duration) -> UInt64 {
        let parts = time.components
        return UInt64(truncatingIfNeeded: parts.seconds) &* 1_000_000_000
            &+ UInt64(truncatingIfNeeded: parts.attoseconds / 1_000_000_000)
    }

    /// Formats a time as seconds with six decimals.
    static func time(_ time: Duration) -> String {
        let microseconds = nanoseconds(time) / 1000
        let fraction = String(microseconds % 1_000_000)
        return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
    }
}
