import Collections
import Crypto
import LibP2P
import Protocols
import Reactor

/// Announcements of transactions that the adversary does not deliver.
extension Adversary {
    /// Announces transactions and does not deliver them: invented ones, ones that wait at another node, or long ones
    /// whose end it withholds.
    func announceTransactions(_ target: SimulatedNode, _ host: Host) async throws {
        if random.oneIn(3) {
            for _ in 0..<20 {
                let id = TransactionMischief.inventions(1, &random)[0]
                Reactor.spawn {
                    try? await TransactionMischief.sendHalf(id, 300_000, to: target, from: host)
                }
            }
            return
        }
        let stream = try await host.newStream(target.key.peerID, [TransactionBatchProtocol.id])
        stream.setTimeout(.seconds(60))
        Reactor.spawn {
            while let bytes = try? await stream.read(upTo: 65_536), !bytes.isEmpty {}
        }
        var ids: [Hash] = []
        if random.oneIn(2), let other = random.pick(world.nodes.filter { $0.node != nil }) {
            ids = await other.node?.unconfirmed(limit: 1_024).map(\.id) ?? []
        }
        if ids.isEmpty { ids = TransactionMischief.inventions(1_024, &random) }
        try await stream.write(TransactionMischief.announcement(of: ids))
        // The stream stays open until the node closes it.
    }
}
