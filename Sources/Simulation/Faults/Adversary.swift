import Bytes
import Chain
import Collections
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// A host that speaks the network's protocols and breaks their rules. It forges proposals, announcements and votes,
/// replays messages, sends garbage, opens streams without limit, claims heights, withholds blocks, does not read the
/// replies it requests, and answers requests for blocks with lies, stalls or single bytes. When nodes ban it, it
/// returns under another key.
///
/// With a stolen validator's key it also casts wrong votes in that validator's name.
@ReactorActor
final class Adversary {
    unowned let world: World
    private let index: Int
    var random: SeededGenerator
    private var host: Host?
    /// Signs its forgeries.
    private let identity: PrivateKey
    private var names = 0
    private var isOver = false
    /// The key stolen from a validator.
    private let stolen: PrivateKey?
    /// The block fetched last, as any peer may, to be forged and replayed.
    private(set) var known: FetchedBlock?
    private var attempts = 0

    /// The maximum number of keys it uses; each is a host of its own.
    private static let mostNames = 20
    /// The number of streams opened at once.
    static let flood = 200

    init(_ world: World, _ index: Int) throws {
        self.world = world
        self.index = index
        random = SeededGenerator(seed: world.options.seed, stream: "adversary \(index)")
        identity = try World.key("adversary \(index)", world.options.seed, index)
        // With at least four validators one may lie without harm: the others are a majority.
        stolen = world.options.validators > 3 ? world.nodes[world.options.validators - 1].setup.key : nil
    }

    func start() {
        Reactor.spawn { [self] in
            while !isOver, world.failure == nil {
                try? await Reactor.sleep(for: random.milliseconds(20...800))
                guard !isOver, let target = random.pick(world.nodes) else { continue }
                do {
                    let host = try await join()
                    try await reach(target, host)
                    try await attack(target, host)
                    world.count("attack", "\(target.name)")
                } catch {
                    attempts += 1
                    // Nodes have banned it, or the target is down.
                    if attempts > 10 { await leave() }
                }
            }
            await leave()
        }
    }

    func stop() { isOver = true }

    // MARK: Its host

    private func join() async throws -> Host {
        if let host { return host }
        guard names < Self.mostNames else { throw CheckerFailure("adversary", "out of names") }
        names += 1
        attempts = 0
        let host = try Stranger(world, 10_000 + index * Self.mostNames + names).host
        serve(host)
        self.host = host
        return host
    }

    private func leave() async {
        guard let host else { return }
        self.host = nil
        await host.stop()
    }

    private func reach(_ target: SimulatedNode, _ host: Host) async throws {
        let transport = try Multiaddr("/ip4/\(target.setup.address.ip)/tcp/\(World.port)")
        try await host.connect(target.key.peerID, [transport], backsOff: false)
    }

    // MARK: Attacks

    private func attack(_ target: SimulatedNode, _ host: Host) async throws {
        let peer = target.key.peerID
        switch random.next() % 15 {
        case 0: try await learn(peer, host)
        case 1: try await propose(peer, host)
        case 2: try await announce(peer, host)
        case 3: try await acknowledge(peer, host)
        case 4: try await babble(peer, host)
        case 5: try await threaten(peer, host)
        case 6: flood(peer, host)
        case 7: await host.claim(world.chain.tip + 1 + Int64(random.next() % 1_000_000), to: peer)
        case 8: hoard(peer, host)
        case 9: try await withhold(peer, host)
        case 10: try await announceTransactions(target, host)
        case 11: try await resetStreams(peer, host)
        case 12: try await pushIdentify(peer, host)
        case 13: holdBackEnds(peer, host)
        default: try await repeatAnnouncement(peer, host)
        }
    }

    /// Fetches a recent block, as any peer may.
    func learn(_ peer: PeerID, _ host: Host) async throws {
        let height = max(1, world.chain.tip - Int64(random.next() % 3))
        known =
            try await BlockHeightProtocol.request(height, from: peer, on: host, sizes: .largest).found
            ?? known
    }

    /// Proposes a block above the tip: without the leader's signature, with the leader's signature of another block,
    /// or one that the leader did propose, perhaps some time ago; or replays an old signature as a new proposal.
    private func propose(_ peer: PeerID, _ host: Host) async throws {
        if random.oneIn(3), let old = random.pick(world.proposed) {
            let proposal = BlockProposal(old, sender: world.nodes[0].key)
            if random.oneIn(2) { return try await withhold(proposal, peer, host) }
            try await BlockProposalProtocol.announce(proposal, block: old.bytes, to: peer, on: host)
            return
        }
        if random.oneIn(3), let known { return try await withhold(replay(of: known.block), peer, host) }
        let forged = world.rival(at: world.chain.tip + 1, by: identity)
        var proposal = BlockProposal(forged, sender: identity.publicKey)
        if let known, random.oneIn(2) {
            proposal = BlockProposal(
                height: proposal.height, hash: proposal.hash, previousHash: proposal.previousHash,
                stamp: proposal.stamp, leaderSignature: known.block.signature,
                senderKey: SharedBytes(world.nodes[0].key.bytes))
        }
        try await BlockProposalProtocol.announce(proposal, block: forged.bytes, to: peer, on: host)
    }

    /// Announces a proposal of the leader's and withholds its block.
    private func withhold(_ proposal: BlockProposal, _ peer: PeerID, _ host: Host) async throws {
        let stream = try await host.newStream(peer, [BlockProposalProtocol.id])
        try await stream.write(proposal.bytes)
        Reactor.schedule(after: .seconds(30)) { stream.reset() }
    }

    /// Announces a committed block with forged votes, signature or transactions, to a node that lacks the block if
    /// there is one.
    private func announce(_ peer: PeerID, _ host: Host) async throws {
        var peer = peer
        if let victim = random.pick(world.nodes.filter { $0.node != nil && $0.committed < world.chain.tip }) {
            let height = victim.committed + 1
            if let source = random.pick(world.nodes.filter { $0.node != nil && $0.committed >= height }) {
                try await reach(source, host)
                known =
                    try await BlockHeightProtocol.request(
                        height, from: source.key.peerID, on: host, sizes: .largest
                    ).found
                    ?? known
            }
            try await reach(victim, host)
            peer = victim.key.peerID
        }
        guard let known else { return }
        let (block, info) = forge(known)
        let announcement = BlockAnnouncement(block, info)
        try await BlockAnnouncementProtocol.announce(
            SharedBytes(announcement.bytes), block: block.bytes, to: peer, on: host)
    }

    private func forge(_ known: FetchedBlock) -> (Block, CommitInfo) {
        let forgery = Forgery.allCases[Int(random.next() % UInt64(Forgery.allCases.count))]
        return forgery.made(of: known, world, by: identity)
    }

    /// Announces a valid committed block again.
    private func repeatAnnouncement(_ peer: PeerID, _ host: Host) async throws {
        guard let known else { return try await learn(peer, host) }
        let announcement = BlockAnnouncement(known.block, known.commitInfo)
        try await BlockAnnouncementProtocol.announce(
            SharedBytes(announcement.bytes), block: known.block.bytes, to: peer, on: host)
    }

    /// Sends votes: with a non-validator's key, a validator's vote on another block, with the stolen key, old ones,
    /// and refusals with an invalid signature.
    private func acknowledge(_ peer: PeerID, _ host: Host) async throws {
        let height = world.chain.tip + 1
        let block = Hash.sha256(of: Array("\(random.next())".utf8))
        var answer = AckRes(height: height, block: block, answer: .ack(appHash: block), by: identity)
        switch random.next() % 4 {
        case 0:
            if let known, let vote = known.commitInfo.votes.first {
                answer = AckRes(
                    height: random.oneIn(2) ? known.block.height : height,
                    block: random.oneIn(2) ? known.block.hash : block,
                    answer: .ack(appHash: known.commitInfo.appHash), signature: vote.signature)
            }
        case 1:
            if let stolen {
                answer = AckRes(
                    height: height, block: block,
                    answer: random.oneIn(2) ? .invalidBlock : .ack(appHash: block), by: stolen)
            }
        case 2: return try await refuse(peer, host)
        default: break
        }
        try await AcknowledgementProtocol.send(answer, to: peer, on: host)
    }

    /// Refuses the leader's next proposal by gossip, in the name of the stolen key and with an invalid signature,
    /// before the key's owner votes.
    private func refuse(_ peer: PeerID, _ host: Host) async throws {
        guard let stolen else { return }
        let before = world.proposed.last?.hash
        let stream = try await host.newStream(peer, [.meshsub11])
        await world.wait(.seconds(3), every: .milliseconds(5)) {
            isOver || world.proposed.last?.hash != before
        }
        guard let proposed = world.proposed.last, proposed.hash != before else { return stream.reset() }
        let nonsense = (0..<64).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let answer = AckRes(
            height: proposed.height, block: proposed.hash, answer: .invalidBlock,
            signature: VoteSignature(publicKey: stolen.publicKey, signature: SharedBytes(nonsense)))
        let message = GossipMessage(
            topic: "acks", data: answer.bytes, sequence: random.next(), author: stolen)
        try await stream.write(message.rpc)
        end(stream)
    }

    /// Sends random bytes on some protocol; then waits, closes or resets.
    private func babble(_ peer: PeerID, _ host: Host) async throws {
        let stream = try await open(peer, host)
        stream.setTimeout(.seconds(5))
        let count = 1 + Int(random.next() % 2_000)
        try await stream.write((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        end(stream)
    }

    /// Sends a length too large for any memory, followed by too few bytes.
    private func threaten(_ peer: PeerID, _ host: Host) async throws {
        let stream = try await open(peer, host)
        stream.setTimeout(.seconds(5))
        let head = (0..<Int(random.next() % 120)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let length = [UInt8](repeating: 0xFF, count: 4 + Int(random.next() % 6)) + [0x7F]
        try await stream.write(head + length + head)
        end(stream)
    }

    private func open(_ peer: PeerID, _ host: Host) async throws -> LibP2P.Stream {
        guard let name = random.pick(Self.protocols) else { throw CheckerFailure("adversary", "no protocol") }
        return try await host.newStream(peer, [name])
    }

    private func end(_ stream: LibP2P.Stream) {
        switch random.next() % 3 {
        case 0: stream.close()
        case 1: stream.reset()
        default: Reactor.schedule(after: .seconds(20)) { stream.reset() }
        }
    }

    private func flood(_ peer: PeerID, _ host: Host) {
        guard let name = random.pick(Self.protocols) else { return }
        for _ in 0..<Self.flood {
            Reactor.spawn {
                guard let stream = try? await host.newStream(peer, [name]) else { return }
                try? await Reactor.sleep(for: .seconds(2))
                stream.reset()
            }
        }
    }

    static let protocols = [
        DiscoveryProtocol.id, TransactionProtocol.id, TransactionAnnouncementProtocol.id,
        BlockProtocol.id, BlockHeightProtocol.id, BlockHeightProtocol.idWithBest,
        BlockRangeProtocol.id, BlockAnnouncementProtocol.id, BlockProposalProtocol.id,
        CompactProposalProtocol.id, BlockShareProtocol.id, AcknowledgementProtocol.id,
        TransactionBatchProtocol.id, ConsensusStatusProtocol.id, ProposedBlockProtocol.id,
        CommitDoneProtocol.id, .identify, .identifyPush, .ping, .meshsub12,
    ]

    // MARK: Answers

    /// Serves blocks of every height: none, another block, random bytes, or nothing after accepting the request.
    private func serve(_ host: Host) {
        let names = [
            BlockHeightProtocol.id, BlockHeightProtocol.idWithBest, BlockProtocol.id,
            BlockRangeProtocol.id,
        ]
        for name in names {
            host.register(name) { [weak self] stream in await self?.lie(on: stream) }
        }
        for name in [BlockProposalProtocol.id, BlockAnnouncementProtocol.id, .identifyPush] {
            host.register(name) { stream in
                try? await Reactor.sleep(for: .seconds(30))
                stream.reset()
            }
        }
    }

    private func lie(on stream: LibP2P.Stream) async {
        stream.setTimeout(.seconds(60))
        guard let request = try? await stream.read(upTo: 64) else { return stream.reset() }
        var answer = ByteWriter()
        switch random.next() % 6 {
        case 0:
            answer.put(u8: 0)
            answer.put(i64: .max)
        case 3: return stream.close()
        case 4: return await drip(on: stream)
        case 1 where stream.protocolID == BlockRangeProtocol.id:
            // The block it has, in place of the one asked for.
            guard let known, request.count > 8 else { break }
            let (block, info) = (known.block.bytes, known.commitInfo.bytes)
            answer.put(u8: 1)
            answer.put(u8: 0)
            answer.put(bytes: request[..<8])
            for count in [info.count, block.count, block.count] { answer.put(u32: UInt32(clamping: count)) }
            answer.put(bytes: info)
            answer.put(bytes: block)
        case 1:
            if let known {
                let (block, info) = random.oneIn(2) ? (known.block, known.commitInfo) : forge(known)
                answer.put(u8: 1)
                answer.put(bytes: block.hash)
                answer.put(varint: Int64(info.bytes.count))
                answer.put(bytes: info.bytes)
                answer.put(varint: Int64(block.bytes.count))
                answer.put(bytes: block.bytes)
                answer.put(i64: world.chain.tip + 1_000)
            }
        case 2:
            for _ in 0..<200 { answer.put(u8: UInt8(truncatingIfNeeded: random.next())) }
        default:
            try? await Reactor.sleep(for: .seconds(45))
            return stream.reset()
        }
        try? await stream.write(answer.bytes)
        stream.close()
    }
}

/// Noise keys derived from a seed.
@ReactorActor
final class KeyStream {
    private var random: SeededGenerator

    nonisolated init(seed: UInt64, _ stream: String) {
        random = SeededGenerator(seed: seed, stream: stream)
    }

    private func bytes() -> [UInt8] {
        (0..<4).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } }
    }

    /// Makes the next key pair. Call it on the reactor.
    nonisolated func make() throws(LibP2PError) -> NoiseKeyPair {
        let bytes = ReactorActor.assumeIsolated { self.bytes() }
        guard let secret = try? SecretBytes(copying: bytes) else { throw .limitReached("memory for keys") }
        return try NoiseKeyPair(privateKey: secret)
    }
}
