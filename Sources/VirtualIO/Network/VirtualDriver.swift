import Collections
import Reactor

/// A driver without a kernel: timers move bytes between the ends of connections according to `VirtualNetwork`, and
/// the clock jumps from one timer to the next.
final class VirtualDriver: Driver {
    /// The maximum number of bytes on the way to or waiting at one end, like a kernel's socket buffers.
    static let windowSize = 256 * 1024
    private static let packetSize = 64 * 1024
    private static let firstEphemeralPort: UInt16 = 49152
    /// The wait before a connection attempt to a host that does not answer is repeated.
    private static let synInterval = Duration.seconds(1)

    private var clock: Duration = .zero
    private var nextPort = firstEphemeralPort
    private var nextNumber = 0
    private var listeners: [SocketAddress: TCPListener] = [:]
    /// The ends of open connections, by number.
    private var ends: [Int: MemoryEnd] = [:]
    private(set) lazy var network = VirtualNetwork(self, latency: latency, seed: seed)
    private let latency: Duration
    private let seed: UInt64

    init(latency: Duration, seed: UInt64) {
        self.latency = latency
        self.seed = seed
        super.init(name: "virtual")
    }

    override nonisolated var now: Duration { ReactorActor.assumeIsolated { clock } }

    override func wait(until deadline: Duration?) -> Bool {
        guard let deadline else { return false }
        clock = max(clock, deadline)
        noteWaking()
        return true
    }

    override func shutdown() {
        let open = ordered
        ends = [:]
        for end in open { end.connection.abandon() }
        listeners = [:]
    }

    /// Returns a runner that runs jobs on the loop itself.
    override nonisolated func makeRunner(named name: String, _ kind: Worker.Kind) -> any WorkerRunner {
        VirtualRunner(kind)
    }

    private func port() -> UInt16 {
        defer { nextPort = nextPort == .max ? Self.firstEphemeralPort : nextPort &+ 1 }
        return nextPort
    }

    private func at(_ time: Duration, _ loop: EventLoop, _ body: @escaping @ReactorActor () -> Void) {
        _ = loop.timers.add(time, body)
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

    override func close(_ listener: TCPListener) {
        // After the host's end another listener may have the address.
        if listeners[listener.localAddress] === listener { listeners[listener.localAddress] = nil }
    }

    override func connect(_ attempt: ConnectAttempt) throws(ReactorError) {
        dial(attempt, from: (attempt.source ?? attempt.address).with(port: port()))
    }

    private func dial(_ attempt: ConnectAttempt, from local: SocketAddress) {
        let (remote, loop) = (attempt.address, attempt.loop)
        guard !attempt.isFinished, !network.isDown(local) else { return }
        guard let arrival = network.arrival(from: local, to: remote, bytes: 0, earliest: now),
            !network.isDown(remote)
        else {
            return at(now + Self.synInterval, loop) { [self] in dial(attempt, from: local) }
        }
        at(arrival, loop) { [self] in
            guard !attempt.isFinished else { return }
            guard !network.isDown(remote) else { return dial(attempt, from: local) }
            guard let listener = listeners[remote] else {
                network.onEvent?(.refused(local, remote))
                return answer(attempt, from: local) { attempt.finish(.failure(.connectionRefused)) }
            }
            let (near, far) = pair(loop, local, remote)
            network.counters.connections += 1
            network.onEvent?(.connected(local, remote))
            listener.didAccept(far)
            answer(attempt, from: local) {
                if attempt.isFinished { near.abort() } else { attempt.finish(.success(near)) }
            }
        }
    }

    /// Carries the remote end's answer back to the dialler.
    private func answer(
        _ attempt: ConnectAttempt, from local: SocketAddress, _ body: @escaping @ReactorActor () -> Void
    ) {
        guard let arrival = network.arrival(from: attempt.address, to: local, bytes: 0, earliest: now) else {
            return at(now + Self.synInterval, attempt.loop) { [self] in
                if attempt.isFinished { body() } else { answer(attempt, from: local, body) }
            }
        }
        at(arrival, attempt.loop, body)
    }

    private func pair(
        _ loop: EventLoop, _ local: SocketAddress, _ remote: SocketAddress
    ) -> (TCPConnection, TCPConnection) {
        let near = TCPConnection(loop: loop, driver: self, local: local, remote: remote)
        let far = TCPConnection(loop: loop, driver: self, local: remote, remote: local)
        for (connection, peer) in [(near, far), (far, near)] {
            connection.slot = nextNumber
            ends[nextNumber] = MemoryEnd(of: connection, peer: peer)
            nextNumber &+= 1
        }
        return (near, far)
    }

    // MARK: Connections

    /// Returns a connection's end; nil once its socket is gone.
    private func end(of connection: TCPConnection) -> MemoryEnd? {
        connection.slot.flatMap { ends[$0] }
    }

    /// Removes a connection's socket.
    private func remove(_ connection: TCPConnection) {
        if let slot = connection.slot { ends[slot] = nil }
        connection.slot = nil
    }

    override func updateReceiving(_ connection: TCPConnection) { deliver(to: connection) }

    override func flush(_ connection: TCPConnection) {
        guard let peer = self.end(of: connection)?.peer else { return }
        guard let end = self.end(of: peer) else { return orphaned(connection) }
        while connection.queuedBytes > 0, end.load < Self.windowSize {
            let count = min(connection.queue.head.count, Self.packetSize, Self.windowSize - end.load)
            let bytes = [UInt8](connection.queue.head.prefix(count))
            end.load &+= count
            transmit(.bytes(bytes), to: peer)
            connection.didSend(count)
        }
    }

    /// The number of bytes that the peer has not read: its kernel is taken to acknowledge nothing else.
    override func unacknowledgedBytes(_ connection: TCPConnection) -> Int {
        self.end(of: connection).flatMap { self.end(of: $0.peer)?.load } ?? 0
    }

    override func acknowledgedBytes(_ connection: TCPConnection) -> Int {
        self.end(of: connection).flatMap { self.end(of: $0.peer)?.taken } ?? 0
    }

    override func shutdownWrite(_ connection: TCPConnection) {
        guard let peer = self.end(of: connection)?.peer else { return }
        transmit(.end, to: peer)
    }

    override func detach(_ connection: TCPConnection, reset: Bool) {
        let end = self.end(of: connection)
        remove(connection)
        connection.didDetach()
        if reset, let peer = end?.peer { transmit(.reset, to: peer) }
    }

    private func transmit(_ packet: MemoryEnd.Packet, to connection: TCPConnection) {
        guard let end = self.end(of: connection) else { return }
        let (from, to) = (connection.remoteAddress, connection.localAddress)
        let bytes = if case .bytes(let bytes) = packet { bytes.count } else { 0 }
        guard end.stalled.isEmpty,
            let arrival = network.arrival(from: from, to: to, bytes: bytes, earliest: end.lastArrival)
        else {
            network.counters.stalls += 1
            return end.stalled.append(packet)
        }
        end.lastArrival = arrival
        at(arrival, connection.loop) { [self] in arrive(packet, at: connection) }
    }

    private func arrive(_ packet: MemoryEnd.Packet, at connection: TCPConnection) {
        // The socket is gone: its end was reported already, or its host has lost power.
        guard let end = self.end(of: connection) else { return }
        if case .reset = packet {
            network.counters.resets += 1
            network.onEvent?(.reset(connection.localAddress, connection.remoteAddress))
            return connection.didFail(.connectionReset)
        }
        end.inbox.append(packet)
        deliver(to: connection)
    }

    private func deliver(to connection: TCPConnection) {
        while connection.wantsBytes, let end = self.end(of: connection), !end.inbox.isEmpty {
            if let later = network.readDelay(connection.localAddress) {
                // A later planned read is left over from a slower rate that no longer applies.
                if let planned = end.nextRead, planned <= later { return }
                end.nextRead = later
                return at(later, connection.loop) { [self] in
                    if end.nextRead == later { end.nextRead = nil }
                    deliver(to: connection)
                }
            }
            switch end.inbox.removeFirst() {
            case .bytes(var bytes):
                end.load &-= bytes.count
                end.taken &+= bytes.count
                network.counters.packets += 1
                network.counters.bytes &+= bytes.count
                network.onEvent?(
                    .received(connection.remoteAddress, connection.localAddress, bytes: bytes.count))
                network.didRead(connection.localAddress, bytes: bytes.count)
                bytes.withUnsafeMutableBytes { connection.didReceive($0) }
                if end.peer.queuedBytes > 0 { end.peer.attendLater() }
            case .end: connection.didReceiveEnd()
            case .reset: break
            }
        }
    }
}

// MARK: - Faults

extension VirtualDriver {
    /// The ends of open connections in the order of their creation.
    private var ordered: [MemoryEnd] { ends.sorted { $0.key < $1.key }.map { $0.value } }

    /// Sends stalled packets where `isOpen` holds.
    func release(where isOpen: (SocketAddress, SocketAddress) -> Bool) {
        for end in ordered {
            let connection = end.connection
            guard self.end(of: connection) != nil, !end.stalled.isEmpty,
                isOpen(connection.remoteAddress, connection.localAddress)
            else { continue }
            end.lastArrival = max(end.lastArrival, now + network.retryDelay())
            let packets = end.stalled
            end.stalled = []
            for packet in packets { transmit(packet, to: connection) }
        }
    }

    func deliverAll(at host: SocketAddress) {
        for end in ordered where end.connection.localAddress.with(port: 0) == host {
            deliver(to: end.connection)
        }
    }

    /// Removes every socket of a host.
    func vanish(_ host: SocketAddress, tellingPeers: Bool) {
        for address in listeners.keys where address.with(port: 0) == host { listeners[address] = nil }
        for end in ordered where end.connection.localAddress.with(port: 0) == host {
            remove(end.connection)
            if tellingPeers { transmit(.reset, to: end.peer) }
            end.connection.didFail(.connectionReset)
        }
    }

    /// Resets connections to a host that is back without memory of them, where bytes are waiting to be sent.
    func resetOrphans(of host: SocketAddress) {
        for end in ordered
        where end.connection.remoteAddress.with(port: 0) == host && self.end(of: end.peer) == nil
            && end.connection.queuedBytes > 0
        {
            orphaned(end.connection)
        }
    }

    /// Answers the first bytes that reach the host of a vanished socket by a reset.
    private func orphaned(_ connection: TCPConnection) {
        guard !network.isDown(connection.remoteAddress) else { return }
        transmit(.reset, to: connection)
    }

    func breakConnections(of host: SocketAddress, with other: SocketAddress?) -> Int {
        var count = 0
        for end in ordered where end.connection.localAddress.with(port: 0) == host {
            if let other, end.connection.remoteAddress.with(port: 0) != other { continue }
            count += 1
            arrive(.reset, at: end.connection)
            arrive(.reset, at: end.peer)
        }
        return count
    }
}

/// The state of one end of an in-memory connection.
@ReactorActor
final class MemoryEnd {
    enum Packet {
        case bytes([UInt8])
        case end
        case reset
    }

    /// The connection whose end this is.
    let connection: TCPConnection
    /// The other end.
    let peer: TCPConnection
    var inbox = Deque<Packet>()
    /// Packets held back by a cut link.
    var stalled = Deque<Packet>()
    /// The arrival time of the last packet in transit, which no other overtakes.
    var lastArrival: Duration = .zero
    /// The number of bytes in transit or in `inbox`.
    var load = 0
    /// The number of bytes read from `inbox`.
    var taken = 0
    /// When a slow reader reads again.
    var nextRead: Duration?

    init(of connection: TCPConnection, peer: TCPConnection) {
        self.connection = connection
        self.peer = peer
    }
}
