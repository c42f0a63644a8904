import Glibc

/// Accepts TCP connections at one address.
@ReactorActor
public final class TCPListener {
    /// How long accepting rests when the process is out of descriptors or memory: trying at once would only spin.
    nonisolated static let restAfterFailure: Duration = .milliseconds(100)

    /// The address listened on; with the port that the kernel chose when 0 was asked for.
    public private(set) var localAddress: SocketAddress
    /// Whether a listener on `::` takes IPv4 connections, too.
    let takesIPv4: Bool
    let loop: EventLoop
    let driver: Driver
    var socket = SocketState()
    private(set) var isClosed = false
    private var rest: Timer?
    private let accept: @ReactorActor (TCPConnection) -> Void

    private init(
        _ loop: EventLoop, _ address: SocketAddress, takesIPv4: Bool = false,
        _ accept: @escaping @ReactorActor (TCPConnection) -> Void
    ) {
        self.takesIPv4 = takesIPv4
        self.loop = loop
        driver = loop.driver
        localAddress = address
        self.accept = accept
    }

    /// Listens on `address` (port 0 takes any free one) and hands every connection to `accept`, which sets its delegate.
    /// Throws `.addressInUse`, `.addressNotAvailable`, or what else the kernel says. Goes on until `close`.
    ///
    /// - Parameter takesIPv4: whether `::` stands for all addresses of both families, as most servers have it. In libp2p
    ///   it stands for those of IPv6: each family has an address of its own.
    public static func listen(
        on address: SocketAddress, takesIPv4: Bool = false,
        accept: @escaping @ReactorActor (TCPConnection) -> Void
    ) throws(ReactorError) -> TCPListener {
        guard let loop = EventLoop.current else { throw .closed }
        let listener = TCPListener(loop, address, takesIPv4: takesIPv4, accept)
        listener.localAddress = try loop.driver.listen(listener, on: address)
        return listener
    }

    /// Listens on a socket that somebody else has bound, as a service manager does, and which is the listener's from here
    /// on, whatever comes of it. Otherwise like the other `listen`. Throws `.closed` on a loop whose
    /// driver has no sockets.
    public static func listen(
        descriptor: Int32, accept: @escaping @ReactorActor (TCPConnection) -> Void
    ) throws(ReactorError) -> TCPListener {
        guard let loop = EventLoop.current else { throw .closed }
        let address: SocketAddress
        do throws(ReactorError) {
            address = try Socket.localAddress(descriptor)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        let listener = TCPListener(loop, address, accept)
        try loop.driver.listen(listener, descriptor: descriptor)
        return listener
    }

    /// Stops listening. Connections that were accepted stay.
    public func close() {
        guard !isClosed else { return }
        isClosed = true
        rest?.cancel()
        rest = nil
        driver.close(self)
    }

    /// From the driver: a connection, attached already.
    package func didAccept(_ connection: TCPConnection) {
        guard !isClosed else { return connection.abort() }
        accept(connection)
    }

    /// From the driver: accepting failed and has stopped.
    func didFail(_ error: ReactorError) {
        guard !isClosed, rest == nil else { return }
        rest = loop.timers.add(driver.now + Self.restAfterFailure) { [weak self] in
            guard let self, !self.isClosed else { return }
            self.rest = nil
            self.driver.resumeAccepting(self)
        }
    }
}
