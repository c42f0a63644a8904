/// Bounds of one yamux connection.
struct YamuxLimits: Sendable {
    /// The window that every stream starts with in both directions; the specification's number.
    static let initialWindow = 256 << 10

    /// The largest receive window of one stream, in bytes. 16 MiB keep 1 Gbit/s busy over 130 ms.
    var maximumWindow = 16 << 20
    /// How many bytes all windows of the connection together may grow beyond their initial size.
    var windowGrowth = 64 << 20
    /// How many streams the peer may have open at once; further ones are reset.
    var inboundStreams = 1024
    /// How many streams this side may have open at once.
    var outboundStreams = 4096
    /// How many streams opened by this side may wait for the peer's ACK; go-yamux resets streams beyond 256.
    var unacknowledgedStreams = 256
    /// Bytes of control frames that may wait while the peer does not read. Beyond, it is not read either: a thousand
    /// streams opened at once are answered with 12 KiB.
    var pendingControl = 256 << 10
    /// A ping is sent when this time has passed since the last one.
    var keepAliveInterval: Duration = .seconds(30)
    /// The connection is given up when nothing at all has come for this time after a ping.
    var keepAliveTimeout: Duration = .seconds(30)
    /// How long a stream that this side has closed may wait for the peer's end before it is reset.
    var lingerTime: Duration = .seconds(30)
}
