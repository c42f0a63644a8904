/// The limits on what a host spends on its peers. Unless stated otherwise, a connection or stream beyond a limit is
/// refused, and existing ones continue.
public struct ResourceLimits: Sendable {
    /// All connections, including those being set up.
    public var connections = 1024
    /// Inbound connections, including those being set up. The rest of `connections` is left for this host's dials.
    public var inboundConnections = 768
    /// Inbound connections from one IP address.
    public var connectionsPerIP = 32
    /// Connections with one peer. One is kept; simultaneous dials and reconnections need more for a moment.
    public var connectionsPerPeer = 4
    /// Inbound connections in the handshake. At the limit, a new one replaces the oldest, if that has had
    /// `fairHandshake`.
    public var pendingInbound = 128
    /// Such connections from one IP address (IPv6: one /64), so that no single address can take all places.
    public var pendingPerIP = 48
    /// How long a handshake may take while others wait for its place: ten round trips around the world.
    public var fairHandshake = Duration.seconds(2)
    /// New inbound connections that one IP address (IPv6: one /64) may make at once. Each costs this host up to three
    /// Diffie-Hellman exchanges.
    public var connectionBurstPerIP = 64
    /// The time after which the address may make one more.
    public var connectionIntervalPerIP = Duration.milliseconds(250)
    /// Whether the limits by IP address apply to loopback; disable it where several nodes share a machine.
    public var limitsLoopback = true
    /// Streams that one connection's peer may have open at once.
    public var streamsPerConnection = 1024
    /// Streams that one peer may have open at once on all its connections.
    public var streamsPerPeer = 1280
    /// Streams of one protocol that one connection's peer may have open at once.
    public var streamsPerProtocol = 768
    /// Bytes held for one peer on all its connections: unread bytes, and bytes gathered by reads that have not
    /// returned. The stream that exceeds it is reset. A node derives it from its chain's largest block.
    public var bytesPerPeer = 64 << 20
    /// Such bytes of all peers together. Beyond it, the peer with the most of them is disconnected.
    public var bytes = 512 << 20
    /// The cost of one peer's messages per second, in the units of `MessageCredit`, and twice as much at once: 2,200
    /// streams opened and reset, 20,000 window updates or 80,000 short messages. A peer that opens a stream for each of
    /// 500 messages a second spends a quarter of it.
    public var messageCredit = 80_000

    /// Creates the default limits.
    public init() {}

    var yamux: YamuxLimits {
        var limits = YamuxLimits()
        limits.inboundStreams = streamsPerConnection
        return limits
    }
}
