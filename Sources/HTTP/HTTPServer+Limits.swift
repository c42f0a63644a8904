extension HTTPServer {
    /// What clients may cost, all of them together and each one.
    public struct Limits: Sendable {
        /// Connections at once: several thousand clients that keep theirs, each with a few KiB. When there are as many, the
        /// address with the most gives up one that rests for each of an address with fewer.
        public var maximumConnections = 8_192
        /// Connections of one address (IPv6: one /64 network) at once, so that one cannot take them all; a proxy in front
        /// needs many. Loopback addresses have no share of their own.
        public var maximumConnectionsPerAddress = 1_024
        /// Connections beyond the limits that are told so at one time; the rest are reset.
        public var maximumRefusals = 256
        /// Bytes of a request's header: RFC 9112, section 3, asks for 8,000 for the request line alone.
        public var maximumHeaderSize = 16 * 1024
        /// Bytes of a request's body.
        public var maximumBodySize = 6_000_000
        /// Bytes of requests that all connections hold, beside the first `heldBytesOfOne` of each.
        public var maximumHeldBytes = 256 << 20
        /// Bytes of replies that wait for slow clients, on all connections; beyond, requests get 503.
        public var maximumQueuedBytes = 256 << 20
        /// Bytes of one reply that a handler should not exceed.
        public var maximumReplySize = 64 << 20
        /// From the first byte of a header to its last: it fits into a few packets.
        public var headerTime = Duration.seconds(10)
        /// From the header to the body's last byte: the largest takes 60 s at 100 kB/s.
        public var bodyTime = Duration.seconds(60)
        /// From one request to the first byte of the next.
        public var idleTime = Duration.seconds(60)
        /// From a whole request to its answer.
        public var requestTime = Duration.seconds(20)
        /// Without a byte of a reply taken by the client.
        public var stallTime = Duration.seconds(10)
        /// From the last answer, or the last byte that the client still sends, to the client's end: what comes is dropped,
        /// for as long as a body may take. Closing at once would let the kernel reset the connection and destroy the answer.
        public var lingerTime = Duration.seconds(5)

        /// The defaults.
        public init() {}

        /// Bytes that each connection may hold without asking: a few single calls.
        static let heldBytesOfOne = 16 * 1024

        /// No limit is shorter: what is looked at so often is never late.
        var shortestTime: Duration {
            min(headerTime, bodyTime, idleTime, min(requestTime, stallTime, lingerTime))
        }
    }
}
