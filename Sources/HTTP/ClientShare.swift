import Reactor

/// What the clients of one address take of a server, all of them together.
@ReactorActor
final class ClientShare {
    /// The address, or the network (IPv6: one /64).
    nonisolated let address: SocketAddress
    var connections = 0
    /// Bytes of requests that are held beyond each connection's own share.
    var heldBytes = 0
    /// Bytes of replies queued: never less than there are.
    var queuedBytes = 0
    /// When these were last counted.
    var lastCount = Duration.zero

    init(_ address: SocketAddress) { self.address = address }
}

extension HTTPServer.Limits {
    /// What the clients of one address may have of `total` bytes: a quarter, or as much of it as of the connections. Loopback
    /// addresses may have all.
    func share(of total: Int, _ address: SocketAddress) -> Int {
        guard !address.isLoopback, maximumConnectionsPerAddress < maximumConnections else { return total }
        return max(total / 4, total / maximumConnections * maximumConnectionsPerAddress)
    }
}
