import Glibc

/// Writes whole lines to a file descriptor (terminal, pipe, file or socket) that others may write to as well.
struct LineOutput: Sendable {
    let descriptor: Int32
    /// Whether the last line was cut off, so that the next must begin on a new line.
    private var isMidLine = false

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Writes all bytes, blocking as long as necessary. Returns the number written, and 0 or the `errno` of
    /// the failure.
    mutating func write(_ bytes: UnsafeRawBufferPointer) -> (written: Int, error: Int32) {
        if isMidLine {
            let end = [UInt8(ascii: "\n")]
            let error = end.withUnsafeBytes { put($0) }.error
            guard error == 0 else { return (0, error) }
            isMidLine = false
        }
        let result = put(bytes)
        if result.written > 0 { isMidLine = bytes[result.written - 1] != UInt8(ascii: "\n") }
        return result
    }

    private func put(_ bytes: UnsafeRawBufferPointer) -> (written: Int, error: Int32) {
        var written = 0
        while written < bytes.count {
            let result = Glibc.write(
                descriptor, UnsafeRawBufferPointer(rebasing: bytes[written...]).baseAddress,
                bytes.count - written)
            if result > 0 {
                written += result
            } else if result == 0 {
                return (written, EIO)
            } else {
                let error = errno
                switch error {
                case EINTR: continue
                // Another process that shares the descriptor has made it non-blocking.
                case EAGAIN:
                    var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&wait, 1, -1)
                default: return (written, error)
                }
            }
        }
        return (written, 0)
    }
}
