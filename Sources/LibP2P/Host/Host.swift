import Collections
import Crypto
import Log
import Multiformats
import Reactor

/// A libp2p host: listens, dials, keeps one connection with each peer, and opens and serves streams on them.
///
/// docs/wire.md, section 6. The host itself serves identify, identify push and ping; others register the protocols that they
/// own (`StreamProtocol`). `start` it before anything else.
@ReactorActor
public final class Host {
    /// How long the negotiation of a stream's protocol may take.
    nonisolated static let negotiationTimeout: Duration = .seconds(10)
    /// How long `stop` waits for connections to close.
    nonisolated static let stopTimeout: Duration = .seconds(2)
    /// How long changes of the protocols are collected before they are pushed to peers.
    nonisolated static let pushDelay: Duration = .milliseconds(100)

    /// Identify pushes that a peer may send at once, and the time after which it may send one more.
    nonisolated static let (pushBurst, pushInterval) = (5, Duration.seconds(10))
    /// The cost of a push beyond that, in the units of `MessageCredit`: a hundred use up all credit.
    nonisolated static let excessPushCost = 1_600

    /// The host's configuration.
    public let configuration: HostConfiguration
    /// The host's peer ID.
    public let peerID: PeerID
    /// The addresses listened on, with actual ports; empty before `start`.
    public private(set) var listenAddresses: [Multiaddr] = []

    let log: Log
    let metrics: HostMetrics
    let chunks = ChunkPool()
    let frames = FrameBufferPool()
    var limits: ResourceLimits

    enum Phase { case new, running, stopped }
    private(set) var phase = Phase.new
    var security: SecurityUpgrade.Configuration?
    private var listeners: [TCPListener] = []
    var registrations: [ProtocolID: Registration] = [:]
    /// The metrics of each protocol that this host has registered or opened streams of.
    private var streamMetrics: [ProtocolID: StreamMetrics] = [:]
    private var advertised: Set<ProtocolID> = []
    private var observers: [@ReactorActor (HostEvent) -> Void] = []
    private var pushTimer: Timer?

    /// The peers with a connection.
    var peers: [PeerID: PeerState] = [:]
    var connectionCount = 0
    var inboundCount = 0
    var inboundByIP: [IP: Int] = [:]
    var inboundRate: RateLimiter<IPNetwork>
    /// The number of bytes held for all peers: unread, or gathered by a read that has not returned.
    var held = 0
    /// The limit on identify pushes.
    var pushes = RateLimiter<PeerID>(burst: Host.pushBurst, interval: Host.pushInterval)
    /// How often peers have recently been too slow at sending. A long message in time resets the count.
    var sendingStalls = FadingCounts<PeerID>(forgiven: .seconds(600), capacity: 1_024)
    /// How often peers have recently failed to read.
    var readingStalls = FadingCounts<PeerID>(forgiven: .seconds(600), capacity: 1_024)
    /// Inbound connections in their handshake.
    var upgrades: [Int: ConnectionUpgrade] = [:]
    var lastUpgrade = 0
    /// Wakes `stop` when the last TCP connection has closed.
    let stopping = WaitQueue()
    var openSockets = 0

    var dials: [DialKey: Dial] = [:]
    var backoff = DialBackoff<DialKey>()

    /// The protocols served or advertised, in order, as listed in identify.
    public private(set) var protocols: [ProtocolID] = []
    private(set) var served: [ProtocolID] = []

    /// Creates a host that does nothing before `start`.
    public init(_ configuration: HostConfiguration) {
        self.configuration = configuration
        peerID = configuration.identity.publicKey.peerID
        log = configuration.log
        metrics = configuration.metrics
        limits = configuration.limits
        inboundRate = RateLimiter(
            burst: configuration.limits.connectionBurstPerIP,
            interval: configuration.limits.connectionIntervalPerIP)
        register(Ping())
        register(Identify(self))
        register(IdentifyPush(self))
    }

    /// Begins to listen. Throws `unsupportedAddress` or `network` for an address that cannot be listened on, and stops
    /// the host.
    public func start() throws(LibP2PError) {
        guard phase == .new else { throw .notRunning }
        security = try SecurityUpgrade.Configuration(
            identity: configuration.identity, staticKey: configuration.noiseKeys(),
            protocols: configuration.securityProtocols, chainID: configuration.chainID)
        phase = .running
        for address in configuration.listenAddresses {
            do {
                try listen(on: address)
            } catch {
                for listener in listeners { listener.close() }
                phase = .stopped
                throw error
            }
        }
    }

    private func listen(on address: Multiaddr) throws(LibP2PError) {
        guard case (.ip(let ip), let port)? = address.transport else {
            throw .unsupportedAddress(address.description)
        }
        do {
            let listener = try TCPListener.listen(on: SocketAddress(ip, port: port)) { [unowned self] in
                self.accepted($0)
            }
            listeners.append(listener)
            listenAddresses.append(listener.localAddress.multiaddr)
        } catch {
            throw .network("\(address): \(error)")
        }
    }

    /// Stops listening and closes every connection with a go-away. Returns when all have closed, or after
    /// `stopTimeout`. A stopped host cannot be started again.
    public func stop() async {
        guard phase != .stopped else { return }
        phase = .stopped
        pushTimer?.cancel()
        for listener in listeners { listener.close() }
        listeners = []
        for number in upgrades.keys.sorted() { upgrades[number]?.cancel(.notRunning) }
        for dial in dials.values.sorted(by: { $0.number < $1.number }) { dial.task?.cancel() }
        for peer in peers.keys.sorted() { disconnect(peer) }
        await stopping.wait(limit: Self.stopTimeout) { openSockets == 0 }
        // These refer to users of the host, which refer to it.
        observers = []
        registrations = [:]
    }

    // MARK: Protocols

    /// Lists a protocol in identify without serving streams of it.
    public func advertise(_ id: ProtocolID) {
        advertised.insert(id)
        protocolsChanged()
    }

    /// Returns the metrics of a protocol's streams; `traffic` is the class of its messages.
    @discardableResult
    func metrics(of id: ProtocolID, _ traffic: String = "other") -> StreamMetrics {
        if let known = streamMetrics[id] { return known }
        let new = metrics.streams(of: id, traffic)
        streamMetrics[id] = new
        return new
    }

    /// Returns the priority of a protocol's streams. Nodes serve what they dial, so that one table serves both.
    func priority(of id: ProtocolID) -> StreamPriority { registrations[id]?.priority ?? .low }

    func protocolsChanged() {
        served = registrations.keys.sorted()
        let all = Set(served).union(advertised).sorted()
        guard all != protocols else { return }
        protocols = all
        guard phase == .running, pushTimer == nil, !peers.isEmpty else { return }
        pushTimer = Reactor.schedule(after: Self.pushDelay) {
            self.pushTimer = nil
            self.pushIdentify()
        }
    }

    // MARK: Streams

    /// Opens a stream with the first of `protocols` that the peer supports. Dials the peer's known addresses if there
    /// is no connection.
    ///
    /// With one protocol, or if identify has listed one of them, it does not wait for the peer's answer: the offer
    /// leaves with the first write, and if the peer declines it, the first read throws `protocolNotSupported`.
    public func newStream(_ peer: PeerID, _ protocols: [ProtocolID]) async throws(LibP2PError) -> Stream {
        guard phase == .running else { throw .notRunning }
        if peers[peer]?.primary == nil { try await connect(peer, []) }
        guard let state = peers[peer], let connection = state.primary else { throw .notConnected(peer) }
        var offers = protocols
        if let known = state.info?.protocols, let first = protocols.first(where: { known.contains($0) }) {
            offers = [first]
        }
        return try await negotiatedStream(connection, offers)
    }

    func negotiatedStream(
        _ connection: Connection, _ protocols: [ProtocolID]
    ) async throws(LibP2PError) -> Stream {
        guard let first = protocols.first else { throw .protocolNotSupported([]) }
        let stream = try await connection.openStream()
        let dialer = MultistreamDialer(protocols)
        stream.protocolID = first
        stream.priority = priority(of: first)
        stream.metrics = metrics(of: first)
        stream.metrics?.opened.add()
        stream.negotiation = .due(dialer)
        if !dialer.mayWriteEarly {
            stream.setTimeout(Self.negotiationTimeout)
            try await stream.finishNegotiation()
            stream.deadline = nil
        }
        return stream
    }

    /// Measures the round-trip time to a peer by `/ipfs/ping/1.0.0`.
    public func ping(_ peer: PeerID) async throws(LibP2PError) -> Duration {
        let stream = try await newStream(peer, [.ping])
        defer { stream.close() }
        return try await Ping.measure(on: stream)
    }

    // MARK: Peers

    /// The peers with a connection, ordered by their IDs.
    public var connectedPeers: [PeerID] {
        peers.lazy.filter { $0.value.primary != nil }.map(\.key).sorted()
    }

    /// Whether there is a connection with the peer.
    public func isConnected(_ peer: PeerID) -> Bool { peers[peer]?.primary != nil }

    /// Returns what a connected peer has told about itself by identify.
    public func identity(of peer: PeerID) -> IdentifyInfo? { peers[peer]?.info }

    /// Closes the connections with a peer, with a go-away.
    public func disconnect(_ peer: PeerID) {
        guard let state = peers[peer] else { return }
        for connection in state.connections { connection.close() }
    }

    /// Closes all connections with a peer but the primary one: they lead to an earlier process with its key, or to
    /// another host with the same key.
    public func closeFormer(of peer: PeerID) {
        guard let state = peers[peer], let primary = state.primary else { return }
        for connection in state.connections where connection !== primary { connection.close() }
    }

    /// Calls `observer` for every event from now on.
    public func observe(_ observer: @escaping @ReactorActor (HostEvent) -> Void) {
        observers.append(observer)
    }

    func emit(_ event: HostEvent) {
        for observer in observers { observer(event) }
    }
}

extension SocketAddress {
    /// The same address as a multiaddr.
    var multiaddr: Multiaddr { Multiaddr(ip: ip, tcp: port) }
}
