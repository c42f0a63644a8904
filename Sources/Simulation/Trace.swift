import Foundation
import Reactor

/// What happened in a simulation, in order: a hash of all of it, and on request readable lines.
@ReactorActor
final class Trace {
    /// FNV-1a over every event's time and words.
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var events = 0
    private let file: FileHandle?
    private var lines = ""
    private static let linesInMemory = 1 << 20

    init(file: FileHandle?) { self.file = file }

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
        try? file?.write(contentsOf: Data(lines.utf8))
        lines = ""
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
