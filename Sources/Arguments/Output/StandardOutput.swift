import Glibc
import Log
import Synchronization

/// Standard output: the one place that writes to it, and that notices when that fails. Lines are gathered and written
/// together; `flush` at the end of the program writes the last of them.
///
/// After a failure nothing more is written, and every call throws it again, so that a caller that cannot throw may
/// leave it to `flush`. Any thread may write; lines do not mix.
package enum StandardOutput {
    /// Why nothing more is written: one line.
    package struct Failure: Error, CustomStringConvertible {
        let code: Int32

        package var description: String { "standard output: \(String(cString: strerror(code)))" }
    }

    private struct State {
        var bytes: [UInt8] = []
        var failure: Failure?
    }

    private static let state = Mutex(State())
    /// Bytes that are gathered before they are written: few system calls, and little memory for any query.
    private static let gathered = 1 << 16

    /// Adds a line.
    package static func print(_ line: String) throws(Failure) { try write("\(line)\n") }

    /// Adds a line and writes it at once, for readers that wait for it.
    package static func printAtOnce(_ line: String) throws(Failure) { try write("\(line)\n", atOnce: true) }

    /// Adds text as it is.
    package static func write(_ text: String, atOnce: Bool = false) throws(Failure) {
        try state.withLock { (state) throws(Failure) in
            if let failure = state.failure { throw failure }
            state.bytes.append(contentsOf: text.utf8)
            if atOnce || state.bytes.count >= gathered { try flush(&state) }
        }
    }

    /// Writes what is gathered.
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
                // Whoever shares the file with us has made it non-blocking.
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, -1)
            } else if errno != EINTR {
                throw Failure(code: errno)
            }
        }
    }

    /// Columns of the terminal; nil if there is none, or it does not tell.
    package static var columns: Int? {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }
}

/// Lines for people and scripts on standard error. Nobody can be told if that fails.
package enum StandardError {
    /// Milliseconds to wait for a reader: a process that ends with an error must end, or nobody restarts it.
    private static let patience: Int32 = 1_000

    /// Writes one line, whatever `text` holds. What is not read in time is lost.
    package static func print(_ text: String) {
        let line = EscapedText(text.split(separator: "\n").joined(separator: " "))
        var rest = Array("\(line)\n".utf8)[...]
        while !rest.isEmpty {
            var ready = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
            guard poll(&ready, 1, patience) > 0 else { return }
            // A pipe that is ready takes this much without waiting.
            let piece = rest.prefix(Int(PIPE_BUF))
            guard (try? StandardOutput.writeAll(Array(piece), to: STDERR_FILENO)) != nil else { return }
            rest = rest.dropFirst(piece.count)
        }
    }
}
