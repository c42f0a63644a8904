import Bytes
import Collections
import Multiformats

/// Decides which peer is told what: the meshes, what is passed on, offered and asked for.
///
/// gossipsub 1.0, 1.1 and 1.2 specifications. A machine: every method takes what happened and returns what to do; time
/// comes with the events and choices among peers from a seed.
public struct GossipsubRouter: Sendable {
    /// What is to be done.
    public enum Action: Sendable, Equatable {
        /// Send subscriptions and control to the peer.
        case send(PeerID, GossipRPC)
        /// Send the message to the peers, each in an RPC of its own, which is the same for all.
        case forward(GossipMessage, to: [PeerID], GossipPriority)
        /// The peer has the message by now: it need not be sent if it still waits.
        case withdraw([GossipMessage.ID], from: PeerID)
        /// Find out whether the author has signed the message, then call `verified`. The peer is who brought it.
        case verify(GossipMessage, from: PeerID)
        /// A message in this host's own name that it has not published: an echo of a former life, a replay, or another host
        /// with its key. Nothing of it is checked, and it goes no further.
        case foreign(GossipMessage, from: PeerID)
        /// Find out whether the message is good, then call `validated`. The peer is who brought it.
        case validate(GossipMessage, from: PeerID)
        /// Hand the message to the topic's subscriber.
        case deliver(GossipMessage, from: PeerID)
        /// Connect to the peer, if it is known where.
        case connect(PeerID)
        /// The peer's score has fallen so low that nothing of it is looked at any more.
        case graylisted(PeerID, score: Double)
    }

    /// What a topic's validator makes of a message.
    public enum Verdict: Sendable, Equatable {
        /// Good: handed on and passed on.
        case accept
        /// Against the rules: whoever brought it should have known.
        case reject
        /// Of no use now: dropped without blame.
        case ignore
    }

    struct Peer {
        let meshes: Bool
        let understandsIDontWant: Bool
        let isOutbound: Bool
        let isDirect: Bool
        var topics: OrderedSet<RawText> = []
        var offers = 0
        var asked = 0
        var unwanted: Set<GossipMessage.ID> = []
        var unwantedBefore: Set<GossipMessage.ID> = []
        var pending = 0
        var pendingBytes = 0
        var isGraylisted = false

        /// A heartbeat: what is counted between two of them is forgotten.
        mutating func beat(isGraylisted: Bool) {
            self.isGraylisted = isGraylisted
            offers = 0
            asked = 0
            unwantedBefore = unwanted
            unwanted = []
        }
    }

    struct Fanout {
        var peers: OrderedSet<PeerID>
        var lastPublished: Duration
    }

    let configuration: GossipsubConfiguration
    let own: PeerID
    var random: SeededGenerator
    var peers: OrderedDictionary<PeerID, Peer> = [:]
    /// Connected peers that are sent every message of their topics: floodsub peers and direct ones.
    var served: OrderedSet<PeerID> = []
    /// The meshes of the topics subscribed to.
    var meshes: OrderedDictionary<RawText, OrderedSet<PeerID>> = [:]
    /// When a peer may be asked into a mesh again. Outlives subscriptions and connections.
    var backoffs: OrderedDictionary<RawText, OrderedDictionary<PeerID, Duration>> = [:]
    var fanouts: OrderedDictionary<RawText, Fanout> = [:]
    var seen = SeenMessages()
    var recent = RecentMessages()
    var promises = GossipPromises()
    var scores: PeerScore
    /// Messages whose signature is being checked.
    var unverified: [GossipMessage.ID: [PendingMessage]] = [:]
    /// Messages with their validator: who has brought them.
    var validating: [GossipMessage.ID: OrderedSet<PeerID>] = [:]
    var pending = 0
    var pendingBytes = 0
    var beats = 0
    /// What has happened since the start.
    public internal(set) var counters = GossipCounters()

    /// A router of this peer without topics or peers. `seed` decides its choices and should be hard to guess.
    public init(
        _ peer: PeerID, configuration: GossipsubConfiguration = GossipsubConfiguration(), seed: UInt64
    ) {
        own = peer
        self.configuration = configuration
        random = SeededGenerator(seed: seed)
        scores = PeerScore(configuration.score)
    }

    // MARK: What the host asks

    /// The topics subscribed to, in the order joined.
    public var subscriptions: [RawText] { Array(meshes.keys) }

    /// The peers in a topic's mesh.
    public func mesh(_ topic: RawText) -> [PeerID] { meshes[topic].map { Array($0) } ?? [] }

    /// The peers that have subscribed to a topic, as far as they are connected.
    public func subscribers(_ topic: RawText) -> [PeerID] {
        peers.lazy.filter { $0.value.topics.contains(topic) }.map(\.key)
    }

    /// What is thought of a peer's conduct: `PeerScoreParameters` tells the scale.
    public func score(_ peer: PeerID) -> Double { scores.score(peer) }

    /// Whether nothing of the peer is looked at.
    public func isGraylisted(_ peer: PeerID) -> Bool {
        scores.score(peer) < configuration.score.graylistThreshold && peers[peer]?.isDirect != true
    }

    /// What the application thinks of a connected peer (P5).
    public mutating func setApplicationScore(_ peer: PeerID, _ score: Double) {
        scores.setApplicationScore(peer, score)
    }

    /// Joins a topic.
    public mutating func subscribe(_ topic: RawText, now: Duration) -> [Action] {
        guard meshes[topic] == nil else { return [] }
        meshes[topic] = []
        var output = Output()
        for peer in peers.keys {
            output[peer].subscriptions.append(.init(subscribe: true, topic: topic))
        }
        let known = fanouts.removeValue(forKey: topic)?.peers ?? []
        for peer in known where canMesh(peer, topic, now: now) { graft(peer, topic, now: now, &output) }
        fill(topic, to: configuration.degree, now: now, &output)
        return output.actions
    }

    /// Leaves a topic. Joining it again soon finds peers unwilling for `unsubscribeBackoff`.
    public mutating func unsubscribe(_ topic: RawText, now: Duration) -> [Action] {
        guard let mesh = meshes[topic] else { return [] }
        var output = Output()
        for peer in peers.keys {
            output[peer].subscriptions.append(.init(subscribe: false, topic: topic))
        }
        for peer in mesh { prune(peer, topic, backoff: configuration.unsubscribeBackoff, now: now, &output) }
        meshes[topic] = nil
        return output.actions
    }

    // MARK: What happens to peers

    /// A peer is ready to be sent RPCs, over a stream of one of the protocols `.meshsub12`, `.meshsub11`, `.floodsub`.
    /// `isOutbound`: this host dialled. `address`: what peers of one owner would share; nil counts as nobody else's.
    public mutating func connected(
        _ peer: PeerID, protocolID: ProtocolID, isOutbound: Bool = false, address: String? = nil
    ) -> [Action] {
        guard peers[peer] == nil else { return [] }
        let isDirect = configuration.directPeers.contains(peer)
        peers[peer] = Peer(
            meshes: protocolID != .floodsub, understandsIDontWant: protocolID == .meshsub12,
            isOutbound: isOutbound, isDirect: isDirect)
        if isDirect || protocolID == .floodsub { served.append(peer) }
        scores.connected(peer, address: address)
        var output = Output()
        output[peer].subscriptions = meshes.keys.map { .init(subscribe: true, topic: $0) }
        return output.actions
    }

    /// A peer can no longer be sent anything.
    public mutating func disconnected(_ peer: PeerID, now: Duration) {
        guard peers.removeValue(forKey: peer) != nil else { return }
        served.remove(peer)
        for topic in meshes.keys { meshes[topic]?.remove(peer) }
        for topic in fanouts.keys { fanouts[topic]?.peers.remove(peer) }
        scores.disconnected(peer, now: now)
    }

    /// A peer has sent an RPC. RPCs of peers that are not connected here, or graylisted, are dropped.
    public mutating func received(_ rpc: GossipRPC, from peer: PeerID, now: Duration) -> [Action] {
        guard peers[peer] != nil, !isGraylisted(peer) else { return [] }
        var output = Output()
        if rpc.malformed > 0 {
            counters.malformed &+= UInt64(rpc.malformed)
            scores.misbehaved(peer, rpc.malformed)
        }
        for subscription in rpc.subscriptions { subscribed(peer, subscription, now: now, &output) }
        for message in rpc.messages { received(message, from: peer, now: now, &output) }
        unwanted(rpc.iDontWant, by: peer, &output)
        for offer in rpc.iHave { offered(offer, by: peer, now: now, &output) }
        wanted(rpc.iWant, by: peer, &output)
        for topic in OrderedSet(rpc.graft) { grafted(peer, topic, now: now, &output) }
        for item in rpc.prune { pruned(peer, item, now: now, &output) }
        return output.actions
    }

    private mutating func subscribed(
        _ peer: PeerID, _ subscription: GossipRPC.Subscription, now: Duration, _ output: inout Output
    ) {
        let topic = subscription.topic
        guard subscription.subscribe else {
            peers[peer]?.topics.remove(topic)
            if meshes[topic]?.remove(peer) != nil { scores.pruned(peer, topic) }
            fanouts[topic]?.peers.remove(peer)
            return
        }
        guard let state = peers[peer], state.topics.count < GossipsubLimits.topicsPerPeer else { return }
        peers[peer]?.topics.append(topic)
        // A small mesh takes a newcomer at once, not at the next heartbeat.
        if let mesh = meshes[topic], mesh.count < configuration.degreeLow, canMesh(peer, topic, now: now) {
            graft(peer, topic, now: now, &output)
        }
    }

    // MARK: Time

    /// To be called at the configured interval: mends the meshes, offers messages, forgets old ones.
    public mutating func heartbeat(now: Duration) -> [Action] {
        var output = Output()
        beats &+= 1
        for peer in promises.broken(now: now) {
            counters.brokenPromises &+= 1
            scores.misbehaved(peer)
        }
        scores.refresh(now: now)
        for peer in peers.keys { beat(peer, &output) }
        let over = now - backoffSlack
        for topic in backoffs.keys { backoffs[topic]?.removeAll { $0.value <= over } }
        backoffs.removeAll { $0.value.isEmpty }
        for topic in Array(meshes.keys) {
            maintain(topic, now: now, &output)
            offer(topic, besides: meshes[topic] ?? [], &output)
        }
        maintainFanouts(now: now, &output)
        if beats % configuration.directConnectBeats == 1 {
            let missing = configuration.directPeers.filter { peers[$0] == nil && $0 != own }
            output.first += missing.map { .connect($0) }
        }
        recent.shift()
        return output.actions
    }

    private mutating func beat(_ peer: PeerID, _ output: inout Output) {
        let isGraylisted = isGraylisted(peer)
        if isGraylisted, peers[peer]?.isGraylisted == false {
            counters.graylisted &+= 1
            output.first.append(.graylisted(peer, score: score(peer)))
        }
        peers[peer]?.beat(isGraylisted: isGraylisted)
    }

    // MARK: Actions

    /// Gathers what one event makes of it into few RPCs, in the order in which peers are first spoken to.
    struct Output {
        /// Actions that are not control; they come first.
        var first: [Action] = []
        private var rpcs: OrderedDictionary<PeerID, GossipRPC> = [:]

        subscript(peer: PeerID) -> GossipRPC {
            get { rpcs[peer] ?? GossipRPC() }
            _modify { yield &rpcs[peer, default: GossipRPC()] }
        }

        var actions: [Action] {
            first + rpcs.filter { !$0.value.isEmpty }.map { .send($0.key, $0.value) }
        }
    }
}

/// What has happened to a router's messages and peers, for operators.
public struct GossipCounters: Sendable, Equatable, Encodable {
    /// Messages accepted.
    public var accepted: UInt64 = 0
    /// Copies of messages that were there already.
    public var duplicates: UInt64 = 0
    /// Messages against the rules, by signature or validator.
    public var rejected: UInt64 = 0
    /// Messages that validators had no use for.
    public var ignored: UInt64 = 0
    /// Messages that were not even well formed, or not signed.
    public var malformed: UInt64 = 0
    /// Messages dropped because too many waited to be checked.
    public var overflowed: UInt64 = 0
    /// Messages offered, asked for and not sent.
    public var brokenPromises: UInt64 = 0
    /// GRAFTs that came during their back-off.
    public var earlyGrafts: UInt64 = 0
    /// Peers whose score fell below the threshold.
    public var graylisted: UInt64 = 0
    /// Messages and offers that did not fit into a peer's queue.
    public var unsent: UInt64 = 0

    /// Nothing has happened.
    public init() {}
}
