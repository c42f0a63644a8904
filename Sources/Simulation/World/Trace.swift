import Glibc
import Reactor

/// What happened in a simulation, in order: a hash of all of it, and on request readable lines.
@ReactorActor
final class Trace {
    /// FNV-1a over every event's time and words.
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var events = 0
    /// Why lines are missing from the file.
    private(set) var failure: String?
    private let file: Int32?
    private var lines = ""
    private static let linesInMemory = 1 << 20

    /// - Parameter file: a descriptor, which the caller closes.
    init(file: Int32?) { self.file = file }

    var isReadable: Bool { file != nil }

    /// Takes an event: words for the hash, and a line if anybody reads them.
    func note(_ kind: StaticString, _ words: [UInt64], _ line: @autoclosure () -> String) {
        events += 1
        kind.withUTF8Buffer { for byte in $0 { mix(UInt64(byte)) } }
        mix(Trace.nanoseconds(Reactor.now))
        for word in words { mix(word) }
        guard file != nil else { return }
        lines += "\(Trace.time(Reactor.now)) \(kind) \(line())\n"
        if lines.utf8.count > Trace.linesInMemory { flush() }
    }

    /// Takes an event that is its line.
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

    /// Seconds with microseconds.
    static func time(_ time: Duration) -> String {
        let microseconds = nanoseconds(time) / 1000
        let fraction = String(microseconds % 1_000_000)
        return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
    }
}
