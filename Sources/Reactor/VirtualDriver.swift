import DequeModule

/// The driver without a kernel: bytes go from one end to the other by timers, and the clock jumps from one to the next.
final class VirtualDriver: Driver {
    /// Bytes that may be on the way to, or wait at, one end: what a kernel's socket buffers would take.
    static let windowSize = 256 * 1024
    private static let packetSize = 64 * 1024
    private static let firstEphemeralPort: UInt16 = 49152

    private let latency: Duration
    private var clock: Duration = .zero
    private var nextPort = firstEphemeralPort
    private var listeners: [SocketAddress: TCPListener] = [:]
    /// Keeps open connections alive.
    private var connections: [ObjectIdentifier: TCPConnection] = [:]

    init(latency: Duration = .zero) {
        self.latency = latency
        super.init(name: "virtual")
    }

    override nonisolated var isVirtual: Bool { true }
    override var now: Duration { clock }

    override func wait(until deadline: Duration?) -> Bool {
        guard let deadline else { return false }
        clock = max(clock, deadline)
        return true
    }

    override func shutdown() {
        for connection in connections.values {
            connection.memory = nil
            connection.abandon()
        }
        connections = [:]
        listeners = [:]
    }

    private func port() -> UInt16 {
        defer { nextPort = nextPort == .max ? Self.firstEphemeralPort : nextPort &+ 1 }
        return nextPort
    }

    private func later(_ loop: EventLoop, _ body: @escaping @ReactorActor () -> Void) {
        _ = loop.timers.add(loop.driver.now + latency, body)
    }

    // MARK: Listening and connecting

    override func listen(_ listener: TCPListener, on address: SocketAddress) throws(ReactorError)
        -> SocketAddress
    {
        let address = address.port == 0 ? address.with(port: port()) : address
        guard listeners[address] == nil else { throw .addressInUse }
        listeners[address] = listener
        return address
    }

    override func close(_ listener: TCPListener) { listeners[listener.localAddress] = nil }

    override func connect(_ attempt: ConnectAttempt) throws(ReactorError) {
        let local = attempt.address.with(port: port())
        later(attempt.loop) { [self] in
            guard !attempt.isFinished else { return }
            guard let listener = listeners[attempt.address] else {
                return later(attempt.loop) { attempt.finish(.failure(.connectionRefused)) }
            }
            let (near, far) = pair(attempt.loop, local, attempt.address)
            listener.didAccept(far)
            later(attempt.loop) {
                if attempt.isFinished { near.abort() } else { attempt.finish(.success(near)) }
            }
        }
    }

    func pair(_ loop: EventLoop) -> (TCPConnection, TCPConnection) {
        let address = Self.loopback
        return pair(loop, address.with(port: port()), address.with(port: port()))
    }

    private static let loopback = SocketAddress(loopbackPort: 0)

    private func pair(
        _ loop: EventLoop, _ local: SocketAddress, _ remote: SocketAddress
    ) -> (TCPConnection, TCPConnection) {
        let near = TCPConnection(loop: loop, driver: self, local: local, remote: remote)
        let far = TCPConnection(loop: loop, driver: self, local: remote, remote: local)
        near.memory = MemoryEnd(peer: far)
        far.memory = MemoryEnd(peer: near)
        attach(near)
        attach(far)
        return (near, far)
    }

    // MARK: Connections

    override func attach(_ connection: TCPConnection) {
        connections[ObjectIdentifier(connection)] = connection
    }

    override func updateReceiving(_ connection: TCPConnection) { deliver(to: connection) }

    override func flush(_ connection: TCPConnection) {
        guard let peer = connection.memory?.peer, let end = peer.memory else { return }
        while connection.queuedBytes > 0, end.load < Self.windowSize {
            let count = min(connection.queue.head.count, Self.packetSize, Self.windowSize - end.load)
            let bytes = [UInt8](connection.queue.head.prefix(count))
            end.load &+= count
            later(connection.loop) { [self] in arrive(.bytes(bytes), at: peer) }
            connection.didSend(count)
        }
    }

    override func shutdownWrite(_ connection: TCPConnection) {
        guard let peer = connection.memory?.peer else { return }
        later(connection.loop) { [self] in arrive(.end, at: peer) }
    }

    override func detach(_ connection: TCPConnection, reset: Bool) {
        connections[ObjectIdentifier(connection)] = nil
        let peer = connection.memory?.peer
        connection.memory = nil
        connection.didDetach()
        if reset, let peer { later(connection.loop) { peer.didFail(.connectionReset) } }
    }

    private func arrive(_ packet: MemoryEnd.Packet, at connection: TCPConnection) {
        guard let end = connection.memory else {
            // The socket is gone: bytes that come after it are answered by a reset, a FIN is not.
            return
        }
        end.inbox.append(packet)
        deliver(to: connection)
    }

    private func deliver(to connection: TCPConnection) {
        while connection.wantsBytes, let end = connection.memory, let packet = end.inbox.popFirst() {
            switch packet {
            case .bytes(var bytes):
                end.load &-= bytes.count
                bytes.withUnsafeMutableBytes { connection.didReceive($0) }
                if let peer = end.peer, peer.queuedBytes > 0 { peer.attendLater() }
            case .end: connection.didReceiveEnd()
            }
        }
    }
}

/// What has come to one end of an in-memory connection.
@ReactorActor
final class MemoryEnd {
    enum Packet {
        case bytes([UInt8])
        case end
    }

    weak var peer: TCPConnection?
    var inbox = Deque<Packet>()
    /// Bytes on their way here or in `inbox`.
    var load = 0

    init(peer: TCPConnection) { self.peer = peer }
}
