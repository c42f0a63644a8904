extension HTTPServer {
    /// Limits on what clients may consume, together and individually.
    public struct Limits: Sendable {
        /// The maximum number of connections: several thousand persistent ones, each of a few KiB. At the
        /// limit, the address with the most connections gives up an idle one for each newcomer from an
        /// address with fewer.
        public var maximumConnections = 8_192
        /// The maximum number of connections per address (IPv6: per /64), so that none can take them all. A
        /// proxy in front of the node needs many. Loopback addresses are exempt.
        public var maximumConnectionsPerAddress = 1_024
        /// The maximum number of excess connections answered with 503 at a time; the rest are reset.
        public var maximumRefusals = 256
        /// The maximum size of a request's header, in bytes. RFC 9112, section 3, recommends 8,000 for the
        /// request line alone.
        public var maximumHeaderSize = 16 * 1024
        /// The maximum size of a request's body, in bytes.
        public var maximumBodySize = 6_000_000
        /// The maximum size of all requests held, in bytes, besides the first `heldBytesOfOne` of each
        /// connection.
        public var maximumHeldBytes = 256 << 20
        /// The maximum size of all replies queued for slow clients, in bytes; beyond it, requests get 503.
        public var maximumQueuedBytes = 256 << 20
        /// The size that a handler's reply should not exceed, in bytes.
        public var maximumReplySize = 64 << 20
        /// The time from a header's first byte to its last, as a header fits into a few packets.
        public var headerTime = Duration.seconds(10)
        /// The time from the header to the body's last byte: the largest body takes 60 s at 100 kB/s.
        public var bodyTime = Duration.seconds(60)
        /// The time from one request to the first byte of the next.
        public var idleTime = Duration.seconds(60)
        /// The time from a whole request to its response.
        public var requestTime = Duration.seconds(20)
        /// The time in which the client must acknowledge at least one byte of a reply.
        public var stallTime = Duration.seconds(10)
        /// The time from the last response, or the last byte received, until the client must have closed its
        /// side. Input is discarded meanwhile, for up to `bodyTime`. Closing at once would make the kernel
        /// reset the connection and destroy the response.
        public var lingerTime = Duration.seconds(5)

        /// The defaults.
        public init() {}

        /// The number of bytes that each connection may hold free of charge: a few single calls.
        static let heldBytesOfOne = 16 * 1024

        /// The shortest limit: checking at this interval notices every expiry in time.
        var shortestTime: Duration {
            min(headerTime, bodyTime, idleTime, min(requestTime, stallTime, lingerTime))
        }
    }
}
