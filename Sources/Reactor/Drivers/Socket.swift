import CShims
import Glibc

/// The socket calls that both kernel drivers share. Descriptors are plain numbers here; unless stated otherwise, the
/// caller closes them.
enum Socket {
    /// The most connections that the kernel queues for a listener.
    static let backlog: Int32 = 1024
    /// The bytes that the kernel takes before it sends them, however large its buffer for those that the peer has not yet
    /// acknowledged: enough for the time in which a busy loop refills them, even at 10 Gbit/s (200 µs).
    private static let unsentLimit: Int32 = 256 * 1024
    /// How long an address may stay in use, in microseconds. The kernel closes the sockets of a killed process that used
    /// io_uring some milliseconds after the process has ended, or more on a busy machine, so a node that is restarted at
    /// once still finds the addresses of its predecessor in use.
    private static let releaseTime: UInt32 = 3_000_000
    private static let releaseInterval: UInt32 = 10_000

    /// A new TCP socket for `address`, closed on exec, without Nagle's delay.
    static func make(for address: SocketAddress, nonBlocking: Bool) throws(ReactorError) -> Int32 {
        var type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        if nonBlocking { type |= Int32(SOCK_NONBLOCK.rawValue) }
        let descriptor = socket(address.isIPv6 ? AF_INET6 : AF_INET, type, Int32(IPPROTO_TCP))
        guard descriptor >= 0 else { throw ReactorError("socket", errno) }
        setPromptness(descriptor)
        return descriptor
    }

    /// A bound, listening socket and its address.
    static func listening(
        on address: SocketAddress, takesIPv4: Bool, nonBlocking: Bool
    ) throws(ReactorError) -> (descriptor: Int32, address: SocketAddress) {
        let descriptor = try make(for: address, nonBlocking: nonBlocking)
        do throws(ReactorError) {
            try set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
            if address.isIPv6 { try set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, takesIPv4 ? 0 : 1) }
            try bindOnceReleased(descriptor, to: address)
            guard listen(descriptor, backlog) == 0 else { throw ReactorError("listen", errno) }
            return (descriptor, try localAddress(descriptor))
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Adopts a listening TCP socket that another process has bound. Closes it on failure.
    static func adopt(_ descriptor: Int32, nonBlocking: Bool) throws(ReactorError) {
        let flags = fcntl(descriptor, F_GETFL)
        let isSet =
            option(SO_TYPE, of: descriptor) == Int32(SOCK_STREAM.rawValue)
            && option(SO_PROTOCOL, of: descriptor) == Int32(IPPROTO_TCP)
            && option(SO_ACCEPTCONN, of: descriptor) == 1 && fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
            && fcntl(descriptor, F_SETFL, nonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0
        guard isSet else {
            close(descriptor)
            throw .notListening(descriptor: descriptor)
        }
        setPromptness(descriptor)
    }

    /// An integer option of the socket level; nil if there is none.
    private static func option(_ name: Int32, of descriptor: Int32) -> Int32? {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : nil
    }

    /// Binds a socket. While another socket listens at the address, it tries again for up to `releaseTime`, and the
    /// calling thread sleeps in between: listening is a step of starting, when a loop has nothing else to do.
    private static func bindOnceReleased(
        _ descriptor: Int32, to address: SocketAddress
    ) throws(ReactorError) {
        for _ in 0...releaseTime / releaseInterval {
            if address.withAddress({ bind(descriptor, $0, $1) }) == 0 { return }
            guard errno == EADDRINUSE else { throw ReactorError("bind", errno) }
            usleep(releaseInterval)
        }
        throw .addressInUse
    }

    /// A socket for a connection attempt, bound to the attempt's source if it has one of the same family.
    @ReactorActor
    static func connecting(_ attempt: ConnectAttempt, nonBlocking: Bool) throws(ReactorError) -> Int32 {
        let descriptor = try make(for: attempt.address, nonBlocking: nonBlocking)
        guard let source = attempt.source, source.isIPv6 == attempt.address.isIPv6 else { return descriptor }
        guard source.withAddress({ bind(descriptor, $0, $1) }) == 0 else {
            let code = errno
            close(descriptor)
            throw ReactorError("bind", code)
        }
        return descriptor
    }

    static func localAddress(_ descriptor: Int32) throws(ReactorError) -> SocketAddress {
        try address(descriptor, "getsockname", getsockname)
    }

    static func remoteAddress(_ descriptor: Int32) throws(ReactorError) -> SocketAddress {
        try address(descriptor, "getpeername", getpeername)
    }

    private static func address(
        _ descriptor: Int32, _ name: StaticString,
        _ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) throws(ReactorError) -> SocketAddress {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let (result, code, address) = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                let result = call(descriptor, pointer, &length)
                return (result, errno, SocketAddress(pointer, length: length))
            }
        }
        guard result == 0 else { throw ReactorError(name, code) }
        guard let address else { throw ReactorError(name, EAFNOSUPPORT) }
        return address
    }

    /// The socket's pending error, such as that of a failed connect, as an `errno`; 0 if there is none.
    static func pendingError(_ descriptor: Int32) -> Int32 {
        option(SO_ERROR, of: descriptor) ?? errno
    }

    /// Disables Nagle's delay, so that small messages leave at once, and limits the bytes that they wait for to
    /// `unsentLimit`. A failure makes the socket slower, not wrong.
    static func setPromptness(_ descriptor: Int32) {
        for (option, value) in [(TCP_NODELAY, 1), (TCP_NOTSENT_LOWAT, unsentLimit)] {
            try? set(descriptor, Int32(IPPROTO_TCP), option, value)
        }
    }

    /// Makes `close` send RST and drop queued bytes.
    static func setResetOnClose(_ descriptor: Int32) {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32)
        throws(ReactorError)
    {
        var value = value
        guard setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw ReactorError("setsockopt", errno)
        }
    }
}
