import Bytes
import Collections
import Multiformats

/// Decides what to send to which peer: meshes, and messages to forward, offer and request.
///
/// gossipsub 1.0, 1.1 and 1.2 specifications. A machine: every method takes an event and returns actions. Time comes
/// with the events; a seed decides choices among peers.
public struct GossipsubRouter: Sendable {
    /// An action to perform.
    public enum Action: Sendable, Equatable {
        /// Send subscriptions and control to the peer.
        case send(PeerID, GossipRPC)
        /// Send the message to the peers, each in the same RPC without other entries.
        case forward(GossipMessage, to: [PeerID], GossipPriority)
        /// Remove messages that the peer has by now from its queue.
        case withdraw([GossipMessage.ID], from: PeerID)
        /// Check whether the author has signed the message, then call `verified`. The peer is the one that sent it.
        case verify(GossipMessage, from: PeerID)
        /// Report a message in this host's own name that this process has not published: an earlier process, a replay,
        /// or another host with the same key. It is not checked or forwarded.
        case foreign(GossipMessage, from: PeerID)
        /// Run the topic's validator, then call `validated`. The peer is the one that sent the message.
        case validate(GossipMessage, from: PeerID)
        /// Pass the message to the topic's handler.
        case deliver(GossipMessage, from: PeerID)
        /// Connect to the peer, if its addresses are known.
        case connect(PeerID)
        /// Report that the peer's score has fallen below the threshold under which everything from it is ignored.
        case graylisted(PeerID, score: Double)
    }

    /// The verdict of a topic's validator on a message.
    public enum Verdict: Sendable, Equatable {
        /// Valid: delivered and forwarded.
        case accept
        /// Against the rules: the peer that sent it is blamed.
        case reject
        /// Useless now: dropped without blame.
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

        /// Resets what is counted between two heartbeats.
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
    /// Connected peers that are sent every message of their topics: floodsub peers and direct peers.
    var served: OrderedSet<PeerID> = []
    /// The meshes of the topics subscribed to.
    var meshes: OrderedDictionary<RawText, OrderedSet<PeerID>> = [:]
    /// When a peer may be grafted again. Outlives subscriptions and connections.
    var backoffs: OrderedDictionary<RawText, OrderedDictionary<PeerID, Duration>> = [:]
    var fanouts: OrderedDictionary<RawText, Fanout> = [:]
    var seen = SeenMessages()
    var recent = RecentMessages()
    var promises = GossipPromises()
    var scores: PeerScore
    /// Messages whose signature is being checked.
    var unverified: [GossipMessage.ID: [PendingMessage]] = [:]
    /// Messages being validated, and the peers that have sent them.
    var validating: [GossipMessage.ID: OrderedSet<PeerID>] = [:]
    var pending = 0
    var pendingBytes = 0
    var beats = 0
    /// The counts since the start.
    public internal(set) var counters = GossipCounters()

    /// Creates the router of the host `peer`, without topics or peers. `seed` decides its choices and should be hard to
    /// guess.
    public init(
        _ peer: PeerID, configuration: GossipsubConfiguration = GossipsubConfiguration(), seed: UInt64
    ) {
        own = peer
        self.configuration = configuration
        random = SeededGenerator(seed: seed)
        scores = PeerScore(configuration.score)
    }

    // MARK: What the host asks

    /// The topics joined, in order.
    public var subscriptions: [RawText] { Array(meshes.keys) }

    /// Returns the peers in a topic's mesh.
    public func mesh(_ topic: RawText) -> [PeerID] { meshes[topic].map { Array($0) } ?? [] }

    /// Returns the connected peers that have subscribed to a topic.
    public func subscribers(_ topic: RawText) -> [PeerID] {
        peers.lazy.filter { $0.value.topics.contains(topic) }.map(\.key)
    }

    /// Returns a peer's score on the scale of `PeerScoreParameters`.
    public func score(_ peer: PeerID) -> Double { scores.score(peer) }

    /// Whether everything from the peer is ignored.
    public func isGraylisted(_ peer: PeerID) -> Bool {
        scores.score(peer) < configuration.score.graylistThreshold && peers[peer]?.isDirect != true
    }

    /// Sets the application's score of a connected peer (P5).
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

    /// Leaves a topic. For `unsubscribeBackoff`, its peers refuse to graft this host again.
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

    /// Adds a peer that can be sent RPCs, over a stream of `.meshsub12`, `.meshsub11` or `.floodsub`. `isOutbound`:
    /// this host dialled. `address` is what peers of one owner share; nil is shared with no other peer.
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

    /// Removes a peer that can no longer be sent RPCs.
    public mutating func disconnected(_ peer: PeerID, now: Duration) {
        guard peers.removeValue(forKey: peer) != nil else { return }
        served.remove(peer)
        for topic in meshes.keys { meshes[topic]?.remove(peer) }
        for topic in fanouts.keys { fanouts[topic]?.peers.remove(peer) }
        scores.disconnected(peer, now: now)
    }

    /// Handles a peer's RPC. RPCs of unknown or graylisted peers are dropped.
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
        // A small mesh grafts a new subscriber at once, not at the next heartbeat.
        if let mesh = meshes[topic], mesh.count < configuration.degreeLow, canMesh(peer, topic, now: now) {
            graft(peer, topic, now: now, &output)
        }
    }

    // MARK: Time

    /// Maintains the meshes, offers messages and drops old ones. Call it at the configured interval.
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

    /// Collects the control for each peer into one RPC per event, in the order in which peers are first addressed.
    struct Output {
        /// Actions other than control, which come first.
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

/// Counts of a router's messages and peers, for operators.
public struct GossipCounters: Sendable, Equatable, Encodable {
    /// Messages accepted.
    public var accepted: UInt64 = 0
    /// Copies of known messages.
    public var duplicates: UInt64 = 0
    /// Messages rejected for their signature or by a validator.
    public var rejected: UInt64 = 0
    /// Messages ignored by validators.
    public var ignored: UInt64 = 0
    /// Messages that were malformed or not signed.
    public var malformed: UInt64 = 0
    /// Messages dropped because too many waited to be verified or validated.
    public var overflowed: UInt64 = 0
    /// Messages offered and requested, but not sent.
    public var brokenPromises: UInt64 = 0
    /// GRAFTs received during their backoff.
    public var earlyGrafts: UInt64 = 0
    /// Peers whose score fell below the threshold.
    public var graylisted: UInt64 = 0
    /// RPCs that did not fit a peer's queue.
    public var unsent: UInt64 = 0
}
