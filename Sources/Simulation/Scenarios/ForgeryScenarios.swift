import Bytes
import Chain
import LibP2P
import Multiformats
import Protocols
import Reactor

extension Scenario {
    /// Forgeries of committed blocks.
    static let forgeries: [Scenario] = [
        Scenario(
            "forged-commits",
            "A sentry and a validator that lack a block reject it with a forged commit info or content.",
            options: { $0.emptyBlockInterval = .seconds(3_600) }
        ) { world in
            try await world.rejectForgeries { stranger, forgery, height, source, victim in
                for machine in [source, victim] { try await world.admit(stranger, at: machine) }
                try await stranger.announce(forgery, of: height, from: source, to: victim, in: world)
            }
        },
        Scenario(
            "forged-sync",
            "A sentry and a validator that are behind reject forged blocks of their only source.",
            options: { $0.emptyBlockInterval = .seconds(3_600) }
        ) { world in
            try await world.rejectForgeries { stranger, forgery, height, source, victim in
                try await world.admit(stranger, at: source)
                let server = try await ForgedSource(stranger, forgery, of: height, from: source, world)
                // The victim asks as soon as identify lists the protocol.
                try await world.admit(stranger, at: victim)
                try await world.expect("\(victim.name) does not ask its only source") {
                    await stranger.host.claim(world.chain.tip, to: victim.key.peerID)
                    return server.answers > 0
                }
            }
        },
    ]
}

extension World {
    /// Cuts a validator and a sentry off in turn, and has each reject every forgery of the block that it lacks: `attack` has
    /// the stranger admitted, and brings the forgery of `height`, whose genuine block `source` has, to `victim`.
    fileprivate func rejectForgeries(
        _ attack: (
            _ stranger: Stranger, _ forgery: Forgery, _ height: Int64, _ source: SimulatedNode,
            _ victim: SimulatedNode
        ) async throws -> Void
    ) async throws {
        try await grow(3)
        let source = nodes[1]
        for victim in [nodes[3], nodes[5]] {
            isolate(victim, true)
            try await grow(4)
            // Blocks that it has asked others for are not asked of the stranger.
            try await expect("\(victim.name) does not notice that it is alone") {
                victim.node?.connectedPeers.isEmpty ?? false
            }
            let height = victim.committed
            for (number, forgery) in Forgery.allCases.enumerated() {
                // Each by another stranger, because the previous one is banned.
                let stranger = try Stranger(self, number)
                try await attack(stranger, forgery, height + 1, source, victim)
                try await Reactor.sleep(for: .seconds(1))
                try check(victim.committed == height, "\(victim.name) accepts the forgery \(forgery)")
                await end([stranger])
            }
            isolate(victim, false)
            try await expect("\(victim.name) does not catch up") {
                victim.committed >= self.chain.tip - 1
            }
        }
    }
}

/// A stranger that answers requests for the block of one height with a forgery, and has no other block.
@ReactorActor
private final class ForgedSource {
    private(set) var answers = 0

    /// Forges the block of `height` that `source` has, and serves it.
    init(
        _ stranger: Stranger, _ forgery: Forgery, of height: Int64, from source: SimulatedNode, _ world: World
    ) async throws {
        let found = try await stranger.block(height, of: source)
        let (block, info) = forgery.made(of: found, world, by: stranger.key)
        var writer = ByteWriter()
        writer.put(u8: 1)
        writer.put(bytes: block.hash)
        for bytes in [info.bytes, block.bytes.array] {
            writer.put(varint: Int64(bytes.count))
            writer.put(bytes: bytes)
        }
        let answer = writer.bytes
        for id in BlockHeightProtocol.ids {
            stranger.host.register(id) { [weak self] stream in
                var request = ByteReader(try await stream.readExactly(8))
                let isForged = try request.i64() == height
                if isForged { self?.answers += 1 }
                var best = ByteWriter()
                if id == BlockHeightProtocol.idWithBest { best.put(i64: world.chain.tip) }
                try await stream.write((isForged ? answer : [0]) + best.bytes)
            }
        }
    }
}

extension Stranger {
    /// Fetches a machine's block.
    fileprivate func block(_ height: Int64, of source: SimulatedNode) async throws -> FetchedBlock {
        let found = try await BlockHeightProtocol.request(
            height, from: source.key.peerID, on: host, sizes: .largest
        ).found
        guard let found, !found.block.transactions.isEmpty else {
            throw CheckerFailure("scenario", "\(source.name) has no block \(height) with transactions")
        }
        return found
    }

    /// Fetches a block from one machine and announces a forgery of it to another.
    fileprivate func announce(
        _ forgery: Forgery, of height: Int64, from source: SimulatedNode, to victim: SimulatedNode,
        in world: World
    ) async throws {
        let found = try await block(height, of: source)
        let (block, info) = forgery.made(of: found, world, by: key)
        let announcement = BlockAnnouncement(block, info)
        // The stranger may be banned before the exchange ends.
        _ = try? await BlockAnnouncementProtocol.announce(
            SharedBytes(announcement.bytes), block: block.bytes, to: victim.key.peerID, on: host)
    }
}
