import Bytes
import Chain
import Consensus
import Crypto
import LibP2P
import Multiformats
import Peers
import Protocols
import Reactor

/// Publishes and handles gossip: answers to proposals and resets, which also travel on streams and are relayed by nodes
/// that do not act on them, and heights (docs/protocols.md, "Topics").
@ReactorActor
final class GossipService: Service {
    /// The bonus for a validator's peer score: it outweighs one mistake.
    nonisolated static let validatorScore = 20.0

    private let context: NodeContext
    private let consensus: ConsensusService
    private let peers: PeerService
    /// The gossip protocol.
    let gossip: Gossipsub
    private let discovery: ReactorMachineDriver<HeightDiscovery>
    /// Detects two hosts with one key.
    let keys: KeyWatch
    private var resets = MessageOrder()

    init(
        _ context: NodeContext, _ consensus: ConsensusService, _ peers: PeerService, _ gossip: Gossipsub
    ) {
        self.context = context
        self.consensus = consensus
        self.peers = peers
        self.gossip = gossip
        keys = KeyWatch(context, consensus, gossip)
        let machine = HeightDiscovery(
            best: consensus.view.state.height,
            emptyBlockInterval: context.configuration.consensus.emptyBlockTimeout, seed: Reactor.random())
        discovery = ReactorMachineDriver(
            machine, wallClock: context.wallClock, onBrokenInvariant: context.observer.brokenInvariant)
    }

    /// The gossip configuration, with the node's topics.
    nonisolated static var configuration: GossipsubConfiguration {
        var configuration = GossipsubConfiguration()
        let rare = [
            GossipTopic.reset, GossipTopic.stamp, GossipTopic.heightRequest, GossipTopic.heightAnswer,
            GossipTopic.processes,
        ]
        for topic in rare {
            configuration.score.topics[topic] = .rare
        }
        return configuration
    }

    /// Subscribes to the topics and serves them until cancelled.
    func run() async throws {
        subscribeToConsensus()
        subscribeToHeights()
        discovery.start { [weak self] in self?.perform($0) }
        keys.start()
        defer {
            discovery.stop()
            keys.stop()
            gossip.stop()
        }
        try await ServiceEnd().wait()
    }

    /// Notes that a peer of this chain has identified itself.
    func peerReady(_ peer: PeerID) {
        if let key = try? PublicKey(peerID: peer), consensus.view.state.validators.contains(key) {
            gossip.setApplicationScore(peer, Self.validatorScore)
        }
        keys.peerReady(peer)
        discovery.submit(.peerReady)
    }

    /// Notes that a peer's last connection has ended.
    func peerLeft(_ peer: PeerID) { keys.peerLeft(peer, isTrusted: peers.trusts(peer)) }

    /// Notes that a block was committed.
    func committed(_ height: Int64) {
        keys.committed()
        discovery.submit(.committed(height))
    }

    // MARK: Consensus

    private func subscribeToConsensus() {
        gossip.subscribe(GossipTopic.acknowledgements) { [weak self] message, _ in
            self?.judge(acknowledgement: message) ?? .ignore
        } handler: { [weak consensus] message, peer in
            // Only the leader decodes the many answers.
            guard let consensus, consensus.view.role == .leader,
                let answer = try? AckRes(decoding: message.data)
            else { return }
            Reactor.spawn { try? await consensus.acknowledged(answer, from: peer) }
        } foreign: { [weak consensus] message, peer in
            // A vote carries its own signature, which is verified.
            guard let consensus, let answer = try? AckRes(decoding: message.data) else { return }
            Reactor.spawn { await consensus.heardOwn(answer, from: peer) }
        }
        gossip.subscribe(GossipTopic.reset) { [weak consensus] message, _ in
            guard (try? ConsensusReset(decoding: message.data)) != nil else { return .reject }
            return message.author == consensus?.view.proposer?.peerID ? .accept : .ignore
        } handler: { [weak self] message, _ in
            guard let self, let (author, leader) = authorAndLeader(of: message),
                let reset = try? ConsensusReset(decoding: message.data),
                let verified = try? LeaderMessage(reset, author: author, leader: leader),
                resets.isNew(message.sequence, of: author)
            else { return }
            consensus.feed(.reset(verified))
        }
        gossip.subscribe(GossipTopic.stamp) { [weak consensus] message, _ in
            guard let told = try? ProposalStamp(decoding: message.data) else { return .reject }
            guard let view = consensus?.view, told.height > view.state.height else { return .ignore }
            return message.author == view.proposer?.peerID ? .accept : .ignore
        } handler: { [weak self] message, _ in
            guard let self, let (author, leader) = authorAndLeader(of: message),
                let told = try? ProposalStamp(decoding: message.data),
                let verified = try? LeaderMessage(told, author: author, leader: leader)
            else { return }
            consensus.feed(.stampTold(verified))
        }
    }

    /// Returns the author of a message and the current leader; nil if either is unknown.
    private func authorAndLeader(of message: GossipMessage) -> (PublicKey, PublicKey)? {
        guard let author = try? PublicKey(peerID: message.author), let leader = consensus.view.proposer
        else { return nil }
        return (author, leader)
    }

    /// Judges an answer: relays it while it may count, if its author may vote. A node that lags ignores what it cannot
    /// judge, because neighbours that can would penalize it for relaying a wrong one.
    private func judge(acknowledgement message: GossipMessage) -> GossipsubRouter.Verdict {
        guard let answer = try? AckRes(decoding: message.data),
            answer.signature.publicKey.peerID == message.author
        else { return .reject }
        let state = consensus.view.state
        let (height, voter) = (state.height, answer.signature.publicKey)
        guard answer.height >= height else { return .ignore }
        if state.validators.contains(voter) {
            keys.heard(answer, number: message.sequence)
            return .accept
        }
        return answer.height == height &+ 1 ? .reject : .ignore
    }

    // MARK: Heights

    private func subscribeToHeights() {
        gossip.subscribe(GossipTopic.heightRequest) { [weak self] message, peer in
            guard message.data.isEmpty else { return .reject }
            guard let self else { return .ignore }
            let isTrusted = peers.trusts(peer)
            return discovery.ask { discovery, now, _ in
                discovery.requested(through: peer, isTrusted: isTrusted, now: now.elapsed)
            }
        } handler: { _, _ in
        }
        gossip.subscribe(GossipTopic.heightAnswer) { [weak self] message, peer in
            guard let height = Self.height(message.data) else { return .reject }
            guard let self else { return .ignore }
            let isTrusted = peers.trusts(peer)
            let (verdict, isNews) = discovery.ask { discovery, now, _ in
                discovery.answered(
                    height, by: message.author, through: peer, isTrusted: isTrusted, now: now.elapsed)
            }
            if isNews {
                // The author may have more blocks than the peer that relayed its answer.
                let source = context.host.isConnected(message.author) ? message.author : peer
                consensus.feed(.ahead(height: Int64(clamping: height), isOwn: false, from: source))
            }
            return verdict
        } handler: { _, _ in
        }
    }

    private nonisolated static func height(_ data: SharedBytes) -> UInt64? {
        var reader = ByteReader(data)
        guard data.count == 8 else { return nil }
        return try? reader.u64()
    }

    private func perform(_ action: HeightDiscovery.Action) {
        switch action {
        case .ask: gossip.publish(GossipTopic.heightRequest, [], log: context.log)
        case .answer(let height):
            var writer = ByteWriter(capacity: 8)
            writer.put(u64: height)
            gossip.publish(GossipTopic.heightAnswer, writer.bytes, log: context.log)
        }
    }
}
