import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Node
import Protocols
import Reactor

extension Scenario {
    /// Peers that claim blocks, withhold them, send endless ones, or request blocks and do not read them.
    static let sources: [Scenario] = [
        Scenario(
            "busy-claimant",
            "A stranger claims a height and is always busy: the claim is forgotten and the stranger disconnected."
        ) { world in
            let sentry = world.nodes[5]
            try await world.grow(2)
            let source = try BlockSource(world, 1, .busy)
            try await world.admit(source.stranger, at: sentry)
            let claims = source.claims(1_000_000, to: sentry)
            defer { claims.cancel() }
            try await world.expect("no node asks the claimant") { source.asked > 0 }
            try await world.expect("the claim is not forgotten", within: .seconds(60)) {
                await sentry.node?.status().isSyncing == false
            }
            try await world.expect("the claimant stays", within: .seconds(240)) {
                !source.stranger.isPeer(of: sentry)
            }
            try await world.grow(3)
            try await world.expect("the sentry does not follow") { sentry.committed >= world.chain.tip - 1 }
            await world.end([source.stranger])
        },
        Scenario(
            "endless-blocks",
            "Strangers begin blocks that are too large or never end: nodes accept few of their bytes.",
            options: { $0.maxBlockSize = 100_000 }
        ) { world in
            let sentry = world.nodes[5]
            try await world.grow(2)
            for (number, kind) in [BlockSource.Kind.giant, .endless].enumerated() {
                let source = try BlockSource(world, number, kind)
                try await world.admit(source.stranger, at: sentry)
                let claims = source.claims(1_000_000, to: sentry)
                defer { claims.cancel() }
                try await world.expect("no node asks for blocks") { source.asked > 0 }
                try await world.expect("a peer that sends \(kind) blocks stays", within: .seconds(240)) {
                    !source.stranger.isPeer(of: sentry)
                }
                try world.check(
                    source.most <= 1,
                    "\(source.most) blocks are requested at once from a peer that has proven none")
                try world.check(source.sent < 2 << 20, "\(source.sent) bytes of \(kind) blocks are accepted")
                await world.end([source.stranger])
            }
        },
        Scenario(
            "dripping-source",
            "Sources that send a few bytes at a time do not keep a node from a source that sends whole blocks."
        ) { world in
            let (honest, sentry) = (world.nodes[1], world.nodes[5])
            world.makeNewcomer(sentry, bootnode: honest)
            try await world.grow(60)
            await world.start(sentry)
            var sources: [BlockSource] = []
            for number in 0..<4 {
                let source = try BlockSource(world, number, .drips)
                try await world.admit(source.stranger, at: sentry)
                sources.append(source)
            }
            let tip = world.chain.tip
            let claims = sources.map { $0.claims(tip, to: sentry) }
            defer { for claim in claims { claim.cancel() } }
            try await world.expect("they are not asked") { sources.allSatisfy { $0.asked > 0 } }
            world.cut(honest, sentry, false)
            try await world.expect("it does not catch up", within: .seconds(30)) { sentry.committed >= tip }
            let asked = sources.reduce(0) { $0 + $1.asked }
            try world.check(asked < 40, "they are asked \(asked) times")
            world.isolate(sentry, false)
            await world.end(sources.map(\.stranger))
        },
        Scenario(
            "slow-readers",
            "Nine strangers request all blocks and read none: a newcomer is served all the same, and they are disconnected.",
            options: { $0.clients = 0 }
        ) { world in
            let (source, sentry) = (world.nodes[4], world.nodes[5])
            let text = String(repeating: "x", count: 100_000)
            for number in 0..<12 {
                try await world.commit(
                    .rawStatement(RawStatement("INSERT INTO t VALUES (\(number), '\(text)')")), by: source)
            }
            world.makeNewcomer(sentry, bootnode: source)
            let readers = try (0..<9).map { try Stranger(world, $0) }
            var tasks: [Task<Void, Never>] = []
            var gone: Set<PeerID> = []
            for reader in readers {
                try await world.admit(reader, at: source)
                reader.host.observe {
                    if case .disconnected(source.key.peerID, _) = $0 { gone.insert(reader.id) }
                }
                for _ in 0..<4 { tasks.append(reader.hoardsRanges(of: source)) }
            }
            defer { for task in tasks { task.cancel() } }
            try await Reactor.sleep(for: .seconds(3))
            world.cut(source, sentry, false)
            await world.start(sentry)
            let tip = world.chain.tip
            try await world.expect("the newcomer is not served", within: .seconds(10)) {
                sentry.committed >= tip
            }
            // They may reconnect and begin again.
            try await world.expect("a peer that does not read stays") { gone.count == readers.count }
            world.isolate(sentry, false)
            await world.end(readers)
        },
        Scenario(
            "withheld-announcements",
            "A stranger announces each block first and withholds it: blocks after the second are not late.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(4)
            }
        ) { world in
            let (leader, sentry) = (world.nodes[0], world.nodes[5])
            try await world.grow(2)
            let stranger = try Stranger(world, 1)
            try await world.admit(stranger, at: sentry)
            var times: [Duration] = []
            var made: [Int64: Duration] = [:]
            world.onNodeEvent = { event, machine in
                guard event == .committed else { return }
                let height = machine.committed
                if machine === sentry, let at = made[height] { times.append(Reactor.now - at) }
                guard machine === leader else { return }
                made[height] = Reactor.now
                stranger.withholds(height, of: leader, from: sentry)
            }
            defer { world.onNodeEvent = nil }
            try await world.grow(7, within: .seconds(200))
            try await world.expect("the sentry has no blocks") { times.count >= 6 }
            try world.check(times.contains { $0 > .seconds(1) }, "the stranger is never first")
            try world.check(times.allSatisfy { $0 < .seconds(4) }, "a block is late: \(times)")
            try world.check(
                times.suffix(3).allSatisfy { $0 < .milliseconds(1_500) }, "it is first again: \(times)")
            await world.end([stranger])
        },
    ]
}

/// A stranger that is asked for blocks by height and sends none.
@ReactorActor
final class BlockSource {
    enum Kind {
        /// Closes every stream without an answer.
        case busy
        /// Claims that a block has 120 MB, and sends as much as is accepted.
        case giant
        /// Sends a block of an allowed size, except for its last byte.
        case endless
        /// Sends a byte now and then.
        case drips
    }

    let stranger: Stranger
    private let kind: Kind
    /// The number of requests so far.
    private(set) var asked = 0
    private var open = 0
    /// The maximum number of concurrent requests.
    private(set) var most = 0
    private(set) var sent = 0

    init(_ world: World, _ number: Int, _ kind: Kind) throws {
        stranger = try Stranger(world, number)
        self.kind = kind
        stranger.host.register(BlockHeightProtocol.idWithBest) { [weak self] in await self?.serve($0) }
    }

    /// Claims every second to have blocks up to a height, until the task is cancelled.
    func claims(_ height: Int64, to machine: SimulatedNode) -> Task<Void, Never> {
        let (host, peer) = (stranger.host, machine.key.peerID)
        return Reactor.spawn {
            while !Task.isCancelled {
                await host.claim(height, to: peer)
                try? await Reactor.sleep(for: .seconds(1))
            }
        }
    }

    private func serve(_ stream: LibP2P.Stream) async {
        asked += 1
        open += 1
        most = max(most, open)
        defer { open -= 1 }
        guard kind != .busy else { return stream.close() }
        do {
            _ = try await stream.readExactly(8)
            var head = ByteWriter()
            head.put(u8: 1)
            head.put(bytes: Hash.zero)
            head.put(varint: 0)
            head.put(varint: kind == .giant ? 120 << 20 : 100_000)
            try await stream.write(head.bytes)
            let piece = [UInt8](repeating: 0, count: kind == .drips ? 1 : 10_000)
            for _ in 0..<(kind == .endless ? 9 : 10_000) {
                try await stream.write(piece)
                sent += piece.count
                if kind == .drips { try await Reactor.sleep(for: .milliseconds(400)) }
            }
            // A write shows whether the stream has been reset.
            while true {
                try await Reactor.sleep(for: .milliseconds(100))
                try await stream.write([UInt8]())
            }
        } catch {
            // The node reset the stream.
        }
        stream.reset()
    }
}

extension Host {
    /// Claims, without a signature, that there is a block of this height.
    func claim(_ height: Int64, to peer: PeerID) async {
        guard let stream = try? await newStream(peer, [BlockAnnouncementProtocol.id]) else { return }
        try? await stream.write(Array("blkann:\(Hash.sha256(of: Array("\(height)".utf8))):\(height)".utf8))
        stream.close()
    }
}

extension Stranger {
    /// Requests all blocks again and again, and reads nothing.
    func hoardsRanges(of machine: SimulatedNode) -> Task<Void, Never> {
        Reactor.spawn {
            while !Task.isCancelled {
                await self.host.hoard(of: machine.key.peerID, for: .seconds(60))
                try? await Reactor.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Announces a block that another machine has just committed, and does not send it.
    func withholds(_ height: Int64, of source: SimulatedNode, from machine: SimulatedNode) {
        Reactor.spawn {
            guard let stored = try? await source.node?.block(at: height),
                let block = try? Block(decoding: stored.block),
                let info = try? CommitInfo(decoding: stored.commitInfo)
            else { return }
            await self.host.withhold(
                BlockAnnouncement(block, info), from: machine.key.peerID, for: .seconds(20))
        }
    }
}

extension Host {
    /// Requests blocks from the first one on, and does not read them.
    func hoard(of peer: PeerID, for time: Duration) async {
        guard let stream = try? await newStream(peer, [BlockRangeProtocol.id]) else { return }
        var request = ByteWriter()
        request.put(i64: 1)
        request.put(u32: 1_024)
        request.put(u32: 64 << 20)
        request.put(u8: 0)
        try? await stream.write(request.bytes)
        // A write shows whether the stream has been reset.
        let end = Reactor.now + time
        while Reactor.now < end, !Task.isCancelled {
            try? await Reactor.sleep(for: .milliseconds(250))
            guard (try? await stream.write([0])) != nil else { break }
        }
        stream.reset()
    }

    /// Announces a block and withholds it.
    func withhold(_ announcement: BlockAnnouncement, from peer: PeerID, for time: Duration) async {
        guard let stream = try? await newStream(peer, [BlockAnnouncementProtocol.id]) else { return }
        stream.setTimeout(time)
        try? await stream.write(announcement.bytes)
        _ = try? await stream.readToEnd(limit: 64)
        stream.reset()
    }
}
