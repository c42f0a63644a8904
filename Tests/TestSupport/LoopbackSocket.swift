import Glibc

/// A blocking TCP socket to a server on this machine, for tests that inspect bytes. Reads and writes time out after ten
/// seconds.
public final class LoopbackSocket {
    /// A failed system call.
    public struct Failure: Error {
        /// The name of the call.
        public let call: String
        /// The value of `errno`.
        public let code: Int32
    }

    private var descriptor: Int32
    private var pending: [UInt8] = []
    /// Whether the server has closed its side or reset the connection.
    public private(set) var hasEnded = false
    /// Whether the connection was reset.
    public private(set) var wasReset = false

    /// Connects to 127.0.0.1.
    public init(port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(call: "socket", code: errno) }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 {
            let code = errno
            Glibc.close(descriptor)
            descriptor = -1
            throw Failure(call: "connect", code: code)
        }
    }

    deinit { close() }

    /// Sends everything, or as much as the server accepts.
    public func send(_ text: String) { send(Array(text.utf8)) }

    /// Sends everything, or as much as the server accepts.
    public func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Closes this side for writing; reading still works.
    public func shutdownWrite() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Closes the socket, as the end of a process does.
    public func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Resets the connection.
    public func reset() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    private func readMore() -> Bool {
        guard !hasEnded else { return false }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count > 0 {
            pending.append(contentsOf: buffer[..<count])
            return true
        }
        wasReset = count < 0 && errno == ECONNRESET
        hasEnded = count == 0 || errno != EAGAIN
        return false
    }

    /// Returns everything until the server closes its side.
    public func readToEnd() -> String {
        while readMore() {}
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    /// Returns the next response: its header as text, including the empty line, and its body, of the length that the
    /// header states. If the response is incomplete, returns everything until the end as the header.
    public func readResponse(hasBody: Bool = true) -> (head: String, body: String) {
        let blank = Array("\r\n\r\n".utf8)
        while true {
            if let end = pending.firstRange(of: blank) {
                let head = String(decoding: pending[..<end.upperBound], as: UTF8.self)
                let length = hasBody ? Self.length(head) : 0
                while pending.count < end.upperBound + length, readMore() {}
                let body = pending[end.upperBound...].prefix(length)
                pending.removeFirst(end.upperBound + body.count)
                return (head, String(decoding: body, as: UTF8.self))
            }
            guard readMore() else { return (readToEnd(), "") }
        }
    }

    private static func length(_ head: String) -> Int {
        for line in head.utf8.split(separator: UInt8(ascii: "\n")) {
            let line = String(decoding: line, as: UTF8.self).lowercased()
            if line.hasPrefix("content-length:") { return Int(line.dropFirst(15).filter(\.isNumber)) ?? 0 }
        }
        return 0
    }
}
