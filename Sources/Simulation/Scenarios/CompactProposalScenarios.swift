import Bytes
import Chain
import Collections
import Crypto
import LibP2P
import Multiformats
import Node
import Protocols
import Reactor
import VirtualIO

extension Scenario {
    /// Proposals as short IDs, honest and not.
    static let compactProposals: [Scenario] = [
        Scenario(
            "compact-proposals",
            "The leader sends validators the short IDs of transactions that they have, and whole blocks to another make.",
            options: {
                $0.clients = 0
                $0.blockInterval = .seconds(2)
                $0.emptyBlockInterval = .seconds(10)
                $0.isMixed = true
            }
        ) { world in
            let (leader, sentry) = (world.nodes[0], world.nodes[4])
            try await world.grow(1)
            let traffic = Traffic(world, from: leader)
            let (rounds, size) = (6, 100_000)
            let text = String(repeating: "x", count: size)
            for number in 0..<rounds {
                try await world.commit(
                    .rawStatement(RawStatement("INSERT INTO t VALUES (\(number), '\(text)')")), by: sentry)
            }
            traffic.stop()
            for index in [1, 2, 3] {
                let machine = world.nodes[index]
                let bytes = traffic.bytes(to: machine)
                if machine.setup.takesCompactProposals {
                    try world.check(bytes < size, "\(machine.name) gets \(bytes) bytes for \(rounds) blocks")
                } else {
                    try world.check(
                        bytes > rounds * size, "\(machine.name) gets \(bytes) bytes for \(rounds) blocks")
                }
            }
        },
        Scenario(
            "lying-proposals",
            "Peers that lie in compact proposals of the leader's block are disconnected, and delay no vote.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(5)
            }
        ) { world in
            let (leader, victim) = (world.nodes[0], world.nodes[3])
            try await world.grow(2)
            // Without it no block is committed before the victim has voted.
            world.nodes[2].kill()
            world.slowDown(victim)
            var nonce: UInt64 = 1
            for (number, lie) in Liar.Lie.allCases.enumerated() {
                let liar = try Liar(world, number + 1, lie)
                try await world.admit(liar.stranger, at: victim)
                let votes = VoteDelays(world, of: victim, after: leader) { liar.propose($0, to: victim) }
                for _ in 0..<4 {
                    let ids = try await world.send(5, at: world.nodes[1], from: nonce)
                    nonce += 5
                    try await world.expectCommitted(ids, within: .seconds(30))
                }
                votes.stop()
                try world.check(liar.asked > 0 || lie == .otherPrefilled, "the \(lie) is not asked")
                try world.check(
                    votes.delays.allSatisfy { $0 < .seconds(2) }, "the \(lie) delays votes: \(votes.delays)")
                try world.check(
                    liar.isDisconnected == lie.isProven,
                    "the \(lie) is \(liar.isDisconnected ? "disconnected" : "still connected")")
                await world.end([liar.stranger])
            }
            await world.start(world.nodes[2])
        },
        Scenario(
            "withheld-transactions",
            "A validator that sends short IDs and then no transactions delays another by two seconds, twice.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(8)
            }
        ) { world in
            let (leader, victim) = (world.nodes[0], world.nodes[3])
            try await world.grow(2)
            world.nodes[2].kill()
            try await Reactor.sleep(for: .seconds(3))
            let liar = try Liar(world, 1, .silence, key: world.nodes[2].setup.key)
            try await world.admit(liar.stranger, at: victim)
            world.slowDown(victim)
            let votes = VoteDelays(world, of: victim, after: leader) { liar.propose($0, to: victim) }
            for round in 0..<5 {
                let ids = try await world.send(5, at: world.nodes[1], from: UInt64(5 * round + 1))
                try await world.expectCommitted(ids, within: .seconds(30))
            }
            votes.stop()
            await world.end([liar.stranger])
            await world.start(world.nodes[2])
            try world.check(liar.asked > 0, "the validator is not asked")
            try world.check(votes.delays.count >= 5, "the victim votes \(votes.delays.count) times")
            try world.check(
                votes.delays.allSatisfy { $0 < .seconds(5) }, "the victim waits \(votes.delays)")
            try world.check(
                votes.delays.suffix(3).allSatisfy { $0 < .seconds(2) },
                "it asks the validator first: \(votes.delays)")
        },
    ]
}

extension World {
    /// Makes a machine far from all others, so that a stranger's messages are first.
    fileprivate func slowDown(_ machine: SimulatedNode) {
        for other in nodes where other !== machine {
            let link = VirtualNetwork.Link(latency: .milliseconds(300), bytesPerSecond: 20_000_000)
            network.setLink(from: other.setup.address, to: machine.setup.address, link)
        }
    }
}

/// A host that pushes the leader's proposals in a compact form that is wrong.
@ReactorActor
private final class Liar {
    enum Lie: CaseIterable {
        /// The short IDs are those of invented transactions, which it sends on request, and then the right block.
        case inventedTransactions
        /// It answers the request with other transactions.
        case otherAnswer
        /// A transaction that it sends unasked is another one.
        case otherPrefilled
        /// It answers no request.
        case silence

        /// Whether the receiver can prove the lie.
        var isProven: Bool { self != .silence }
    }

    let stranger: Stranger
    private let world: World
    private let lie: Lie
    /// The number of requests so far.
    private(set) var asked = 0
    /// Whether a machine that it has lied to has ended the connection.
    private(set) var isDisconnected = false

    init(_ world: World, _ number: Int, _ lie: Lie, key: PrivateKey? = nil) throws {
        stranger = try Stranger(world, number, key: key)
        self.world = world
        self.lie = lie
        stranger.host.observe { [weak self] in
            if case .disconnected = $0 { self?.isDisconnected = true }
        }
    }

    /// Pushes a block to a machine, unless it has no transactions.
    func propose(_ block: Block, to machine: SimulatedNode) {
        guard !block.transactions.isEmpty, !isDisconnected else { return }
        Reactor.spawn { [self] in
            guard
                let stream = try? await stranger.host.newStream(
                    machine.key.peerID, [CompactProposalProtocol.id])
            else { return }
            stream.setTimeout(.seconds(60))
            try? await tell(block, on: stream)
            stream.reset()
        }
    }

    private func tell(_ block: Block, on stream: LibP2P.Stream) async throws {
        let invented = try block.transactions.indices.map {
            try world.transfer(1, nonce: UInt64($0 + 1), by: stranger.key)
        }
        let compact = CompactBlock(try HashedBlock(hashing: block))
        let proposal = BlockProposal(block, sender: stranger.key.publicKey)
        try await stream.write(compact.head(proposal, isPushed: true))
        let shortIDs =
            lie == .inventedTransactions
            ? ShortIDs(of: invented.map(\.id), in: block.hash) : compact.shortIDs
        try await stream.write(shortIDs.bytes)
        var prefilled = ByteWriter()
        if lie == .otherPrefilled {
            prefilled.put(u8: 0)
            prefilled.put(uvarint: UInt64(invented[0].bytes.count))
            prefilled.put(bytes: invented[0].bytes)
        }
        var section = ByteWriter()
        section.put(u32: UInt32(clamping: prefilled.bytes.count))
        section.put(bytes: prefilled.bytes)
        try await stream.write(section.bytes)
        try await answer(block, invented, on: stream)
    }

    private func answer(_ block: Block, _ invented: [Transaction], on stream: LibP2P.Stream) async throws {
        while let request = try await stream.read(upTo: 1).first {
            asked += 1
            guard lie != .silence else { return try await Reactor.sleep(for: .seconds(40)) }
            guard request == 1 else {
                try await stream.write(block.bytes)
                return stream.closeWrite()
            }
            _ = try await stream.readExactly(1)
            let wanted = try PlaceSet(
                decoding: try await stream.readExactly(PlaceSet.size(of: invented.count)),
                capacity: invented.count)
            var answer = ByteWriter()
            answer.put(cbytes: [UInt8]())
            for place in wanted.places {
                answer.put(u32: UInt32(clamping: place))
                answer.put(u32: UInt32(clamping: invented[place].bytes.count))
                answer.put(bytes: invented[place].bytes)
            }
            answer.put(u32: .max)
            try await stream.write(answer.bytes)
        }
    }
}
