import Bytes
import LibP2P
import Multiformats
import Protocols
import Reactor

extension Scenario {
    /// Block sync from peers of all kinds.
    static let syncing: [Scenario] = [
        Scenario(
            "set-aside",
            "Of ten peers three lie, three stall and three have half of the chain; one honest peer is enough."
        ) { world in
            let (honest, sentry) = (world.nodes[1], world.nodes[5])
            world.makeNewcomer(sentry, bootnode: honest)
            try await world.grow(60)
            await world.start(sentry)
            let kinds: [BadServer.Kind] = [.lies, .stalls, .half]
            var others: [BadServer] = []
            for number in 0..<9 {
                let server = try BadServer(world, number, kinds[number % 3], like: honest)
                try await world.admit(server.stranger, at: sentry)
                others.append(server)
            }
            world.cut(honest, sentry, false)
            let tip = world.chain.tip
            try await world.expect("it does not catch up") { sentry.committed >= tip }
            for server in others {
                try world.check(server.asked > 0, "no node asks the peer that \(server.kind)")
                await world.end([server.stranger])
            }
            world.isolate(sentry, false)
        },
        Scenario(
            "served-first",
            "A node that many peers ask for blocks serves a validator before a sentry.",
            options: { $0.clients = 0 }
        ) { world in
            let (source, validator, sentry) = (world.nodes[1], world.nodes[3], world.nodes[5])
            for machine in [validator, sentry] {
                world.makeNewcomer(machine, bootnode: source)
            }
            try await world.grow(60)
            source.delays["serving"] = .milliseconds(200)
            let crowd = try (0..<30).map { try Stranger(world, $0) }
            for stranger in crowd {
                try await world.admit(stranger, at: source)
                Reactor.spawn {
                    while stranger.isPeer(of: source) {
                        _ = try? await BlockRangeProtocol.request(
                            BlockRangeRequest(first: 1, count: 1, bytes: 1 << 20, allowsLZ4: false),
                            from: source.key.peerID, on: stranger.host, sizes: .largest,
                            patience: .init(answer: .seconds(5), idle: .seconds(5)), take: { _ in })
                        try? await Reactor.sleep(for: .milliseconds(50))
                    }
                }
            }
            try await Reactor.sleep(for: .seconds(5))
            let tip = world.chain.tip
            for machine in [validator, sentry] {
                world.cut(source, machine, false)
                await world.start(machine)
            }
            try await world.expect("the validator does not catch up") { validator.committed >= tip }
            try world.check(sentry.committed < tip / 2, "the sentry is served like the validator")
            source.delays = [:]
            for machine in [validator, sentry] { world.isolate(machine, false) }
            await world.end(crowd)
        },
    ]
}

/// A host that is asked for blocks by height and is of little or no use.
@ReactorActor
private final class BadServer {
    enum Kind {
        /// Sends blocks with another block's commit info.
        case lies
        /// Never answers.
        case stalls
        /// Has the first half of the chain.
        case half
    }

    let stranger: Stranger
    let kind: Kind
    private(set) var asked = 0
    private let source: SimulatedNode
    private let best: Int64

    init(_ world: World, _ number: Int, _ kind: Kind, like source: SimulatedNode) throws {
        stranger = try Stranger(world, number)
        self.kind = kind
        self.source = source
        best = kind == .half ? world.chain.tip / 2 : world.chain.tip
        stranger.host.register(BlockHeightProtocol.idWithBest) { [weak self] in await self?.serve($0) }
    }

    private func serve(_ stream: LibP2P.Stream) async {
        asked += 1
        guard let bytes = try? await stream.readExactly(8) else { return stream.reset() }
        var request = ByteReader(bytes)
        guard kind != .stalls, let height = try? request.i64() else {
            try? await Reactor.sleep(for: .seconds(120))
            return stream.reset()
        }
        var answer = ByteWriter()
        let proven = kind == .lies ? max(1, height - 1) : height
        if height <= best, let node = source.node, let block = try? await node.block(at: height),
            let proof = try? await node.block(at: proven)
        {
            answer.put(u8: 1)
            answer.put(bytes: block.hash)
            for part in [proof.commitInfo, block.block] {
                answer.put(varint: Int64(part.count))
                answer.put(bytes: part)
            }
        } else {
            answer.put(u8: 0)
        }
        answer.put(i64: best)
        try? await stream.write(answer.bytes)
        stream.close()
    }
}
