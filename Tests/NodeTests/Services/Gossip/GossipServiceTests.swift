import Bytes
import Chain
import Crypto
import Execution
import LibP2P
import Log
import Multiformats
import Protocols
import Reactor
import Storage
import TestSupport
import Testing
import VirtualIO

@testable import Node

/// Nodes and hosts that only gossip, in virtual time.
@Suite struct GossipServiceTests {
    /// A chain's validators, leader first, and the height that each has committed.
    @ReactorActor
    final class Chain {
        let keys: [PrivateKey]
        let genesis: Genesis
        private(set) var nodes: [Int: Node] = [:]
        private(set) var heights: [Int: Int64] = [:]
        private var disks: [Int: VirtualDisk] = [:]
        private var spies: [Spy] = []

        init(validators: Int) throws {
            keys = try (0..<validators).map {
                try TestChain.key($0 + 1)
            }
            genesis = Genesis(
                chainID: "gossip", initialHeight: 0, databaseOwner: keys[0].publicKey.nodeID,
                validators: ValidatorSet(keys.map { Validator(key: $0.publicKey, power: 1) }),
                allocations: [], parameters: NetworkParameters(leader: keys[0].publicKey))
        }

        static func ip(_ number: Int) -> String { "10.0.0.\(number + 1)" }

        /// Starts a validator that dials only `others`. `place` and `key` give it the address or the key of another
        /// number.
        func start(
            _ number: Int, dialing others: [Int], at place: Int? = nil, key: Int? = nil,
            emptyBlocks: Duration = .seconds(1), log: Log = .silent
        ) async throws {
            var configuration = Configuration()
            configuration.p2p.listen = ["\(Self.ip(place ?? number)):6600"]
            configuration.p2p.pex = false
            configuration.p2p.bootnodes = others.map {
                "\(keys[$0].publicKey.nodeID)@\(Self.ip($0)):6600"
            }
            configuration.consensus.proposeTimeout = .milliseconds(100)
            configuration.consensus.emptyBlockTimeout = emptyBlocks
            let machine = disks[number] ?? VirtualDisk(seed: UInt64(number))
            disks[number] = machine
            let disk = machine.mount()
            var environment = NodeEnvironment(
                openStores: {
                    try disk.makeDirectory("node")
                    return (
                        try BlockStore(directory: "node/blocks", segmentSize: 1 << 20, disk: disk),
                        try VoteLog(directory: "node/blocks", disk: disk)
                    )
                },
                openApplication: { NoopApplication() }, peerStore: PeerStore(),
                wallClock: {
                    let parts = ReactorActor.assumeIsolated { Reactor.now.components }
                    return UInt64(1_800_000_000_000 + parts.seconds * 1_000)
                        + UInt64(parts.attoseconds / 1_000_000_000_000_000)
                })
            environment.log = log
            environment.observer.committed = { [weak self] commit, _, _ in
                self?.heights[number] = commit.height
            }
            nodes[number] = try await Node.start(
                genesis: genesis, key: keys[key ?? number], configuration: configuration,
                environment: environment)
        }

        func stop(_ number: Int) async {
            await nodes.removeValue(forKey: number)?.stop()
            disks[number]?.kill()
        }

        /// Starts a host that claims to be of the chain and only gossips.
        func spy(_ number: Int, dialing others: [Int]) async throws -> Spy {
            let spy = try Spy(number, chainID: genesis.chainID)
            spies.append(spy)
            for other in others {
                try await spy.host.connect(
                    Multiaddr("/ip4/\(Self.ip(other))/tcp/6600/p2p/\(keys[other].publicKey.peerID)"))
            }
            return spy
        }

        func stop() async {
            for spy in spies { await spy.stop() }
            for number in nodes.keys.sorted() { await nodes[number]?.stop() }
        }
    }

    @ReactorActor
    final class Spy {
        let host: Host
        let gossip: Gossipsub
        private(set) var heard: [RawText: [GossipMessage]] = [:]

        init(_ number: Int, chainID: String) throws {
            let key = try TestChain.key(number + 1)
            host = Host(
                HostConfiguration(
                    identity: key, listenAddresses: [try Multiaddr("/ip4/\(Chain.ip(number))/tcp/6600")]))
            host.advertise(KwilProtocol.chain(chainID))
            gossip = Gossipsub(host, firstSequence: 1)
            try host.start()
        }

        func listen(_ topic: RawText) {
            gossip.subscribe(topic) { [weak self] message, _ in
                self?.heard[topic, default: []].append(message)
            }
        }

        func stop() async {
            gossip.stop()
            await host.stop()
        }
    }

    func run(
        validators: Int, _ body: @escaping @ReactorActor @Sendable (Chain) async throws -> Void
    ) throws {
        try MemoryNetwork.run(seed: 3, latency: .milliseconds(10)) {
            let chain = try Chain(validators: validators)
            do {
                try await body(chain)
            } catch {
                await chain.stop()
                throw error
            }
            await chain.stop()
        }
    }

    @Test func answersReachTheLeaderByGossipAlone() throws {
        try run(validators: 4) { chain in
            try await chain.start(0, dialing: [])
            try await chain.start(1, dialing: [0])
            for number in 2...3 { try await chain.start(number, dialing: [0, 1]) }
            try await Reactor.sleep(for: .seconds(5))
            // Two validators return at other addresses. They reach the leader only through another validator, whose
            // vote and the leader's are not enough.
            for number in 2...3 { await chain.stop(number) }
            let before = chain.heights[0] ?? 0
            #expect(before > 0)
            for number in 2...3 { try await chain.start(number, dialing: [1], at: number + 10) }
            let spy = try await chain.spy(9, dialing: [1])
            spy.listen(GossipTopic.acknowledgements)
            try await Reactor.sleep(for: .seconds(30))
            #expect(await chain.nodes[0]?.status().peerCount == 1)
            #expect((chain.heights[0] ?? 0) > before + 5)
            let authors = Set((spy.heard[GossipTopic.acknowledgements] ?? []).map(\.author))
            #expect(authors.isSuperset(of: chain.keys[2...3].map(\.publicKey.peerID)))
        }
    }

    @Test func aHostThatOnlyGossipsRelaysAnswers() throws {
        try run(validators: 1) { chain in
            try await chain.start(0, dialing: [], emptyBlocks: .zero)
            let relay = try await chain.spy(8, dialing: [0])
            for topic in [GossipTopic.acknowledgements, GossipTopic.heightRequest] { relay.listen(topic) }
            let far = try await chain.spy(9, dialing: [])
            far.listen(GossipTopic.heightRequest)
            _ = try await far.host.connect(
                Multiaddr("/ip4/\(Chain.ip(8))/tcp/6600/p2p/\(relay.host.peerID)"))
            // The node asks for heights, and the far host receives the request through the relay.
            try await Reactor.sleep(for: .seconds(10))
            #expect((far.heard[GossipTopic.heightRequest] ?? []).count == 1)
        }
    }

    @Test func aWithdrawalReachesAValidatorByGossip() throws {
        try run(validators: 4) { chain in
            // Half of the votes are missing, so the leader eventually withdraws its proposal.
            try await chain.start(0, dialing: [])
            for number in 1...3 { try await chain.start(number, dialing: [0]) }
            try await Reactor.sleep(for: .seconds(5))
            for number in 2...3 { await chain.stop(number) }
            let spy = try await chain.spy(9, dialing: [1])
            spy.listen(GossipTopic.reset)
            try await Reactor.sleep(for: .seconds(150))
            let resets = spy.heard[GossipTopic.reset] ?? []
            #expect(!resets.isEmpty)
            #expect(resets.allSatisfy { $0.author == chain.keys[0].publicKey.peerID })
        }
    }

    @Test func aSpammerIsNotListenedTo() throws {
        try run(validators: 1) { chain in
            try await chain.start(0, dialing: [])
            let (spammer, witness) = (
                try await chain.spy(8, dialing: [0]), try await chain.spy(9, dialing: [0])
            )
            for topic in [GossipTopic.acknowledgements, GossipTopic.heightAnswer] { witness.listen(topic) }
            try await Reactor.sleep(for: .seconds(10))
            for _ in 0..<6 {
                try spammer.gossip.publish(GossipTopic.acknowledgements, [1, 2, 3])
                try await Reactor.sleep(for: .milliseconds(100))
            }
            // A valid message of the spammer is no longer relayed, whereas another's is.
            try spammer.gossip.publish(GossipTopic.heightRequest, [])
            try await Reactor.sleep(for: .seconds(20))
            #expect(witness.heard[GossipTopic.acknowledgements] == nil)
            #expect(witness.heard[GossipTopic.heightAnswer] == nil)
            try witness.gossip.publish(GossipTopic.heightRequest, [])
            try await Reactor.sleep(for: .seconds(20))
            let answers = witness.heard[GossipTopic.heightAnswer] ?? []
            #expect(answers.count == 1 && answers.first?.data.count == 8)
        }
    }

    @Test func anAnswerAboutHeightsStartsACatchUp() throws {
        try run(validators: 2) { chain in
            try await chain.start(1, dialing: [], emptyBlocks: .zero)
            let spy = try await chain.spy(9, dialing: [1])
            var asked: [Int64] = []
            for id in [BlockHeightProtocol.idWithBest, BlockHeightProtocol.id] {
                spy.host.register(id) { stream in
                    stream.setTimeout(.seconds(5))
                    guard let bytes = try? await stream.readExactly(8) else { return }
                    asked.append(bytes.reversed().reduce(0) { $0 << 8 | Int64($1) })
                }
            }
            for topic in [GossipTopic.heightRequest, GossipTopic.heightAnswer] { spy.listen(topic) }
            try await Reactor.sleep(for: .seconds(10))
            #expect((spy.heard[GossipTopic.heightRequest] ?? []).count == 1)
            #expect(asked == [])
            try spy.gossip.publish(GossipTopic.heightAnswer, [7, 0, 0, 0, 0, 0, 0, 0])
            try await Reactor.sleep(for: .seconds(2))
            #expect(asked.contains(1))
        }
    }

    @Test func whatIsNotOfTheTopicIsNotPassedOn() throws {
        try run(validators: 2) { chain in
            try await chain.start(0, dialing: [], emptyBlocks: .zero)
            let sender = try await chain.spy(8, dialing: [0])
            let witness = try await chain.spy(9, dialing: [0])
            for topic in [
                GossipTopic.acknowledgements, GossipTopic.reset, GossipTopic.heightRequest,
                GossipTopic.heightAnswer,
            ] { witness.listen(topic) }
            try await Reactor.sleep(for: .seconds(10))
            let before = witness.heard.values.reduce(0) { $0 + $1.count }
            // An answer of a key that may not vote, a reset of a node that does not lead, wrong lengths.
            let stranger = try TestChain.key(9)
            let answer = AckRes(height: 1, block: .zero, answer: .invalidBlock, by: stranger)
            try sender.gossip.publish(GossipTopic.acknowledgements, answer.bytes)
            try sender.gossip.publish(
                GossipTopic.reset, ConsensusReset(height: 0, transactions: []).bytes)
            try sender.gossip.publish(GossipTopic.heightAnswer, [1])
            try await Reactor.sleep(for: .seconds(5))
            #expect(witness.heard.values.reduce(0) { $0 + $1.count } == before)
        }
    }
}
