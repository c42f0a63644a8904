/// The limits of one yamux connection.
struct YamuxLimits: Sendable {
    /// The initial window of a stream in each direction, in bytes, as the specification requires.
    static let initialWindow = 256 << 10

    /// The largest receive window of one stream, in bytes. 16 MiB sustain 1 Gbit/s over 130 ms.
    var maximumWindow = 16 << 20
    /// How far all windows of the connection together may grow beyond their initial sizes, in bytes.
    var windowGrowth = 64 << 20
    /// How many streams the peer may have open at once; further ones are reset.
    var inboundStreams = 1024
    /// How many streams this side may have open at once.
    var outboundStreams = 4096
    /// How many of this side's streams may wait for the peer's ACK; go-yamux resets streams beyond 256.
    var unacknowledgedStreams = 256
    /// The size of the queued control frames, in bytes, from which a peer that does not read is not read either. The
    /// answer to a thousand streams opened at once takes 12 KiB.
    var pendingControl = 256 << 10
    /// The time between two pings.
    var keepAliveInterval: Duration = .seconds(30)
    /// How long nothing may arrive after a ping before the connection is closed.
    var keepAliveTimeout: Duration = .seconds(30)
    /// How long a stream that this side has closed may wait for the peer's end before it is reset.
    var lingerTime: Duration = .seconds(30)
}
