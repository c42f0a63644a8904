import Reactor

/// The resources that all clients of one address use together.
@ReactorActor
final class ClientShare {
    /// The address, or its network (IPv6: a /64).
    nonisolated let address: SocketAddress
    var connections = 0
    /// Bytes of requests held beyond each connection's own allowance.
    var heldBytes = 0
    /// Bytes of replies queued; an upper bound.
    var queuedBytes = 0
    /// When they were last counted exactly.
    var lastCount = Duration.zero

    init(_ address: SocketAddress) { self.address = address }
}

extension HTTPServer.Limits {
    /// Returns how much of `total` bytes the clients of one address may use: a quarter or, if greater, the
    /// same fraction as of connections. Loopback addresses may use everything.
    func share(of total: Int, _ address: SocketAddress) -> Int {
        guard !address.isLoopback, maximumConnectionsPerAddress < maximumConnections else { return total }
        return max(total / 4, total / maximumConnections * maximumConnectionsPerAddress)
    }
}
