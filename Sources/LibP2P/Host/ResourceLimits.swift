/// What one host spends on its peers at most. Beyond a limit the newest connection or stream is refused; what is
/// there goes on.
public struct ResourceLimits: Sendable {
    /// Connections in all, those being set up included.
    public var connections = 1024
    /// Connections that were dialled by others, those being set up included; leaves room for own dials.
    public var inboundConnections = 768
    /// Inbound connections from one IP address.
    public var connectionsPerIP = 32
    /// Connections with one peer. One is kept; simultaneous dials and reconnects need room for a moment.
    public var connectionsPerPeer = 4
    /// Inbound connections whose handshake is not done. When there are as many, the oldest that has had
    /// `fairHandshake` gives way to a new one.
    public var pendingInbound = 128
    /// Such connections from one IP address (IPv6: one /64): nobody can take all the places from one address.
    public var pendingPerIP = 48
    /// How long a handshake may go on while others wait for its place: ten round trips around the world.
    public var fairHandshake = Duration.seconds(2)
    /// New inbound connections that one IP address (IPv6: one /64) may make at once, and the time after which it may
    /// make one more. Each costs this host a Diffie-Hellman exchange or three.
    public var connectionBurstPerIP = 64
    /// See `connectionBurstPerIP`.
    public var connectionIntervalPerIP = Duration.milliseconds(250)
    /// Whether what is limited by IP address is limited for loopback too; not where several nodes share a machine.
    public var limitsLoopback = true
    /// Streams that one connection's peer may have open at once.
    public var streamsPerConnection = 1024
    /// Streams that one peer may have open at once on all its connections.
    public var streamsPerPeer = 1280
    /// Streams of one protocol that one connection's peer may have open at once.
    public var streamsPerProtocol = 768
    /// Bytes held for one peer, on all its connections: those that nobody has read, and those that a read has gathered
    /// and not handed over. The stream that goes beyond is reset. A node sets it by its chain's largest block.
    public var bytesPerPeer = 64 << 20
    /// Such bytes of all peers together. Beyond, the peer with the most of them is disconnected.
    public var bytes = 512 << 20
    /// What one peer's messages may cost in a second, in the units of `MessageCredit`, with twice as much at once: 2,200
    /// streams opened and reset, 20,000 window updates or 80,000 short messages. A peer that opens a stream for each
    /// of 500 messages a second spends a quarter of it.
    public var messageCredit = 80_000

    /// The usual limits.
    public init() {}

    var yamux: YamuxLimits {
        var limits = YamuxLimits()
        limits.inboundStreams = streamsPerConnection
        return limits
    }
}
