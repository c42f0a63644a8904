import Bytes
import Glibc
import Log
import Synchronization

/// The only writer to standard output. It buffers lines, and reports failed writes; `flush` at the end of the program
/// writes the rest.
///
/// After a failure nothing more is written and every call throws the failure again, so that a caller that cannot throw
/// may leave it to `flush`. Any thread may write; lines do not interleave.
package enum StandardOutput {
    /// A failed write.
    package struct Failure: Error, CustomStringConvertible {
        let code: Int32

        package var description: String { "standard output: \(SystemErrorText.of(code))" }
    }

    private struct State {
        var bytes: [UInt8] = []
        var failure: Failure?
    }

    private static let state = Mutex(State())
    /// The size of the buffer, in bytes, at which it is written.
    private static let bufferSize = 1 << 16

    /// Buffers a line.
    package static func print(_ line: String) throws(Failure) { try write("\(line)\n") }

    /// Writes a line at once, for a reader that waits for it.
    package static func printAtOnce(_ line: String) throws(Failure) { try write("\(line)\n", atOnce: true) }

    /// Buffers a line of JSON.
    package static func print(_ line: JSONLine) throws(Failure) { try print(line.text) }

    /// Writes a line of JSON at once.
    package static func printAtOnce(_ line: JSONLine) throws(Failure) { try printAtOnce(line.text) }

    /// Buffers text, or writes it at once.
    package static func write(_ text: String, atOnce: Bool = false) throws(Failure) {
        try state.withLock { (state) throws(Failure) in
            if let failure = state.failure { throw failure }
            state.bytes.append(contentsOf: text.utf8)
            if atOnce || state.bytes.count >= bufferSize { try flush(&state) }
        }
    }

    /// Writes the buffer.
    package static func flush() throws(Failure) {
        try state.withLock { (state) throws(Failure) in try flush(&state) }
    }

    private static func flush(_ state: inout State) throws(Failure) {
        if let failure = state.failure { throw failure }
        do throws(Failure) {
            try writeAll(state.bytes, to: STDOUT_FILENO)
        } catch {
            state.failure = error
        }
        state.bytes.removeAll(keepingCapacity: true)
        if let failure = state.failure { throw failure }
    }

    fileprivate static func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(Failure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                // A process that shares the open file has made it non-blocking.
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, -1)
            } else if errno != EINTR {
                throw Failure(code: errno)
            }
        }
    }

    /// The terminal's width in columns; nil without a terminal, or if its width is unknown.
    package static var columns: Int? {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }
}

/// Lines on standard error. Failed writes are ignored: there is nowhere left to report them.
package enum StandardError {
    /// The time to wait for a reader, in milliseconds: a failed process must end, or its supervisor does not restart
    /// it.
    private static let patience: Int32 = 1_000

    /// Writes `text` as one line, without control characters. Drops the rest if the reader is too slow.
    package static func print(_ text: String) {
        write("\(EscapedText(text.split(separator: "\n").joined(separator: " ")))\n")
    }

    /// Writes a line of JSON. Drops the rest if the reader is too slow.
    package static func print(_ line: JSONLine) { write("\(line.text)\n") }

    private static func write(_ line: String) {
        var rest = Array(line.utf8)[...]
        while !rest.isEmpty {
            var ready = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
            guard poll(&ready, 1, patience) > 0 else { return }
            // A writable pipe takes this much without blocking.
            let piece = rest.prefix(Int(PIPE_BUF))
            guard (try? StandardOutput.writeAll(Array(piece), to: STDERR_FILENO)) != nil else { return }
            rest = rest.dropFirst(piece.count)
        }
    }
}
