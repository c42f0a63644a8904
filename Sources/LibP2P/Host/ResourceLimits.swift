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
    /// Inbound connections whose handshake is not done.
    public var pendingInbound = 128
    /// Streams that one connection's peer may have open at once.
    public var streamsPerConnection = 1024
    /// Streams of one protocol that one connection's peer may have open at once.
    public var streamsPerProtocol = 768
    /// Bytes received from one connection's peer that nobody has read yet; the stream that goes beyond is reset.
    public var bytesPerPeer = 64 << 20

    /// The usual limits.
    public init() {}

    var yamux: YamuxLimits {
        var limits = YamuxLimits()
        limits.inboundStreams = streamsPerConnection
        return limits
    }
}
