import Glibc

/// Accepts TCP connections at one address.
@ReactorActor
public final class TCPListener {
    /// How long accepting rests when the process is out of descriptors or memory: an immediate retry would only spin.
    nonisolated static let restAfterFailure: Duration = .milliseconds(100)

    private enum State {
        case accepting
        /// Accepting has failed and is retried when the timer fires.
        case resting(Timer)
        case closed
    }

    /// The address listened on, with the port that the kernel chose if 0 was requested.
    public private(set) var localAddress: SocketAddress
    /// Whether a listener on `::` takes IPv4 connections, too.
    let takesIPv4: Bool
    /// Whether other processes have the socket, too, which goes on to listen when this listener is closed.
    let isShared: Bool
    let loop: EventLoop
    let driver: Driver
    /// The listener's place in the kernel driver's table, until it is closed.
    var slot: Int?
    private var state = State.accepting
    private let accept: @ReactorActor (TCPConnection) -> Void

    private init(
        _ loop: EventLoop, _ address: SocketAddress, takesIPv4: Bool = false, isShared: Bool = false,
        _ accept: @escaping @ReactorActor (TCPConnection) -> Void
    ) {
        self.takesIPv4 = takesIPv4
        self.isShared = isShared
        self.loop = loop
        driver = loop.driver
        localAddress = address
        self.accept = accept
    }

    /// Listens on `address` (port 0 takes any free one) until `close` and passes every connection to `accept`, which
    /// sets its delegate. Throws `.addressInUse`, `.addressNotAvailable`, or another error of the kernel.
    ///
    /// - Parameter takesIPv4: whether `::` stands for all addresses of both families, as in most servers. In libp2p it
    ///   stands for those of IPv6 only: each family has an address of its own.
    public static func listen(
        on address: SocketAddress, takesIPv4: Bool = false,
        accept: @escaping @ReactorActor (TCPConnection) -> Void
    ) throws(ReactorError) -> TCPListener {
        guard let loop = EventLoop.current else { throw .closed }
        let listener = TCPListener(loop, address, takesIPv4: takesIPv4, accept)
        listener.localAddress = try loop.driver.listen(listener, on: address)
        return listener
    }

    /// Accepts connections of a listening socket that another process has passed on, such as a service manager. The
    /// listener takes over the descriptor, even if this fails. Otherwise like the other `listen`; throws `.notListening`
    /// for anything but a listening TCP socket.
    public static func listen(
        passed descriptor: Int32, accept: @escaping @ReactorActor (TCPConnection) -> Void
    ) throws(ReactorError) -> TCPListener {
        guard let loop = EventLoop.current, let address = try? Socket.localAddress(descriptor) else {
            Glibc.close(descriptor)
            throw .notListening(descriptor: descriptor)
        }
        let listener = TCPListener(loop, address, isShared: true, accept)
        try loop.driver.listen(listener, passed: descriptor)
        return listener
    }

    var isClosed: Bool { if case .closed = state { true } else { false } }

    /// Stops listening. Accepted connections stay open.
    public func close() {
        guard !isClosed else { return }
        if case .resting(let timer) = state { timer.cancel() }
        state = .closed
        driver.close(self)
    }

    /// Takes an accepted connection, already attached. For drivers.
    package func didAccept(_ connection: TCPConnection) {
        guard !isClosed else { return connection.abort() }
        accept(connection)
    }

    /// Retries later, because accepting has failed and stopped. For drivers.
    func didFail(_ error: ReactorError) {
        guard case .accepting = state else { return }
        state = .resting(
            loop.timers.add(driver.now + Self.restAfterFailure) { [weak self] in
                guard let self, !self.isClosed else { return }
                self.state = .accepting
                self.driver.resumeAccepting(self)
            })
    }
}
