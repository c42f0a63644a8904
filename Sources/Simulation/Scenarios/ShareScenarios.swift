import Bytes
import Chain
import Crypto
import LibP2P
import Node
import Protocols
import Reactor
import VirtualIO

extension Scenario {
    /// Large blocks whose transactions validators lack.
    static let shares: [Scenario] = [
        Scenario(
            "cold-proposals",
            "The leader sends a block that validators lack about once, and they pass it on; a slow one delays the others a little.",
            options: coldOptions
        ) { world in
            try await world.chill()
            var traffic = Traffic(world, from: world.nodes[0])
            try await world.commitCold(firstNonce: 1)
            traffic.stop()
            let size = World.coldCount * World.coldSize
            try world.check(
                traffic.bytes < size * 3 / 2, "the leader sends \(traffic.bytes) bytes for a block of \(size)"
            )

            let (slow, victim) = (world.nodes[4], world.nodes[3])
            for other in world.nodes where other !== slow {
                world.network.setLink(
                    from: slow.setup.address, to: other.setup.address,
                    VirtualNetwork.Link(latency: .milliseconds(20), bytesPerSecond: 200_000))
            }
            traffic = Traffic(world, from: world.nodes[0])
            let votes = VoteDelays(world, of: victim, after: world.nodes[0])
            for round in 1...2 { try await world.commitCold(firstNonce: UInt64(round * World.coldCount + 1)) }
            votes.stop()
            traffic.stop()
            try world.check(
                votes.delays.allSatisfy { $0 < .seconds(2) },
                "the slow validator delays votes: \(votes.delays)")
            // The slow validator itself may get all from the leader.
            let sent = traffic.bytes - traffic.bytes(to: slow)
            try world.check(sent < size * 5 / 2, "the leader sends \(sent) bytes for two blocks of \(size)")
        },
        Scenario(
            "congested-keepers",
            "If all validators are slow in passing transactions on, nobody requests them again from the leader.",
            options: coldOptions
        ) { world in
            try await world.chill()
            for (one, other) in world.nodes.dropFirst().flatMap({ one in
                world.nodes.dropFirst().map { (one, $0) }
            })
            where one !== other {
                world.network.setLink(
                    from: one.setup.address, to: other.setup.address,
                    VirtualNetwork.Link(latency: .milliseconds(20), bytesPerSecond: 400_000))
            }
            let traffic = Traffic(world, from: world.nodes[0])
            // Mempools try transactions before the proposal.
            world.onNodeEvent = { event, _ in if event == .proposed { traffic.restart() } }
            // One of them takes longer than silence is borne.
            let (count, size) = (12, 160_000)
            try await world.commitCold(firstNonce: 1, count: count, size: size)
            world.onNodeEvent = nil
            traffic.stop()
            try world.check(
                traffic.bytes < count * size * 5 / 4,
                "the leader sends \(traffic.bytes) bytes for a block of \(count * size)")
        },
        Scenario(
            "lying-keepers",
            "A validator that passes on other transactions than it is asked for, or none, delays no vote by a second.",
            options: coldOptions
        ) { world in
            try await world.chill()
            let (leader, victim) = (world.nodes[0], world.nodes[3])
            world.nodes[4].kill()
            for (number, lies) in [true, false].enumerated() {
                let keeper = try FalseKeeper(world, number + 1, lies: lies, key: world.nodes[4].setup.key)
                for machine in world.nodes.prefix(4) { try await world.admit(keeper.stranger, at: machine) }
                let votes = VoteDelays(world, of: victim, after: leader)
                try await world.commitCold(firstNonce: UInt64(number * World.coldCount + 1))
                votes.stop()
                try world.check(keeper.asked >= 3, "\(keeper.asked) validators ask for the share")
                try world.check(
                    votes.delays.allSatisfy { $0 < .seconds(1) }, "the keeper delays votes: \(votes.delays)")
                await world.end([keeper.stranger])
                // It is asked again after half a minute.
                try await Reactor.sleep(for: .seconds(31))
            }
            await world.start(world.nodes[4])
        },
    ]

    @Sendable private static func coldOptions(_ options: inout SimulationOptions) {
        options.validators = 5
        options.sentries = 0
        options.clients = 0
        options.blockInterval = .seconds(2)
        options.emptyBlockInterval = .seconds(8)
    }
}

extension World {
    /// The number of transactions in a cold block, and the size of each in bytes.
    fileprivate static let (coldCount, coldSize) = (40, 50_000)

    /// Makes the mempools of all validators too small for the transactions of the next blocks.
    fileprivate func chill() async throws {
        try await grow(1)
        for machine in nodes.dropFirst() {
            machine.kill()
            machine.setup.configuration.mempool.maxTransactions = 1
            await start(machine)
        }
        try await grow(1)
    }

    /// Commits a block of transactions that validators lack, at all machines that run.
    fileprivate func commitCold(
        firstNonce: UInt64, count: Int = coldCount, size: Int = coldSize
    ) async throws {
        guard let leader = nodes[0].node else { throw CheckerFailure("scenario", "the leader is off") }
        let payload = Payload.other(
            type: "execute", bytes: SharedBytes([UInt8](repeating: 7, count: size)))
        let transactions = try (0..<UInt64(count)).map {
            try Transaction.signed(
                TransactionBody(payload, nonce: firstNonce + $0, chainID: genesis.chainID),
                by: nodes[1].setup.key)
        }
        _ = await leader.broadcast(transactions.map(\.bytes), waitForCommit: false)
        let ids = transactions.map(\.id)
        try await expectCommitted(ids, within: .seconds(30))
        try check(Set(ids.map { chain.heights[$0] }).count == 1, "the transactions are in several blocks")
        let tip = chain.tip
        for machine in nodes where machine.node != nil {
            try await expect("\(machine.name) lacks the block") { machine.committed >= tip }
        }
    }
}

/// A validator that takes its share and passes on nothing, or something else.
@ReactorActor
private final class FalseKeeper {
    let stranger: Stranger
    /// The number of requests so far.
    private(set) var asked = 0

    init(_ world: World, _ number: Int, lies: Bool, key: PrivateKey) throws {
        stranger = try Stranger(world, number, key: key)
        stranger.host.register(CompactProposalProtocol.id) { stream in
            try await Reactor.sleep(for: .seconds(5))
            stream.reset()
        }
        stranger.host.register(BlockShareProtocol.id) { [weak self] stream in
            self?.asked += 1
            guard lies else { return try await Reactor.sleep(for: .seconds(5)) }
            let request = try await stream.readToEnd(limit: 1 << 10)
            let wanted = try PlaceSet(decoding: Array(request.suffix(5)), capacity: World.coldCount)
            for place in wanted.places {
                var entry = ByteWriter()
                entry.put(u32: UInt32(clamping: place))
                entry.put(u32: 3)
                entry.put(bytes: [1, 2, 3])
                try await stream.write(entry.bytes)
            }
        }
    }
}
