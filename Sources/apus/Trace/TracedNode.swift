import API

/// A node that is asked for its traces, with the correction of its clock.
struct TracedNode: Sendable {
    /// Its JSON-RPC address.
    let address: String
    /// Its peer ID.
    let peerID: String
    let clock: ClockOffset
    let client: RPCClient

    /// Connects to nodes and measures their clocks, one after another, so that they do not delay each other.
    static func connect(_ addresses: [String]) async throws -> [TracedNode] {
        let start = ContinuousClock.now
        var nodes: [TracedNode] = []
        for address in addresses {
            let client = try RPCClient(address, timeout: .seconds(20))
            let peerID = try await client.status().peerID
            guard let clock = try await ClockOffset.measure(since: start, { try await client.clock() }) else {
                continue
            }
            nodes.append(TracedNode(address: address, peerID: peerID, clock: clock, client: client))
        }
        return nodes
    }
}
