import Multiformats
import OrderedCollections

/// Decides which peer is told what: the meshes, what is passed on, offered and asked for.
///
/// gossipsub 1.0, 1.1 and 1.2 specifications, without peer scores. A machine: every method takes what happened and
/// returns what to do; time comes with the events and choices among peers from a seed.
public struct GossipsubRouter: Sendable {
    /// What is to be done.
    public enum Action: Sendable, Equatable {
        /// Send the RPC to the peer.
        case send(PeerID, GossipRPC)
        /// Find out whether the author has signed the message, then call `verified`. The peer is who brought it.
        case verify(GossipMessage, from: PeerID)
        /// Find out whether the message is good, then call `validated`. The peer is who brought it.
        case validate(GossipMessage, from: PeerID)
        /// Hand the message to the topic's subscriber.
        case deliver(GossipMessage, from: PeerID)
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

    private struct Peer {
        let meshes: Bool
        let understandsIDontWant: Bool
        var topics: OrderedSet<String> = []
        var offers = 0
        var asked = 0
        var unwanted: Set<GossipMessage.ID> = []
        var unwantedBefore: Set<GossipMessage.ID> = []
    }

    private struct Topic {
        var mesh: OrderedSet<PeerID> = []
        var backoff: OrderedDictionary<PeerID, Duration> = [:]
    }

    private struct Fanout {
        var peers: OrderedSet<PeerID>
        var lastPublished: Duration
    }

    private let configuration: GossipsubConfiguration
    private let own: PeerID
    private var random: SeededGenerator
    private var peers: OrderedDictionary<PeerID, Peer> = [:]
    private var topics: OrderedDictionary<String, Topic> = [:]
    private var fanouts: OrderedDictionary<String, Fanout> = [:]
    private var seen = SeenMessages()
    private var recent = RecentMessages()
    private var pending = 0

    /// A router of this peer without topics or peers. `seed` decides its choices and should be hard to guess.
    public init(
        _ peer: PeerID, configuration: GossipsubConfiguration = GossipsubConfiguration(), seed: UInt64
    ) {
        own = peer
        self.configuration = configuration
        random = SeededGenerator(seed: seed)
    }

    // MARK: What the host asks

    /// The topics subscribed to, in the order joined.
    public var subscriptions: [String] { Array(topics.keys) }

    /// The peers in a topic's mesh.
    public func mesh(_ topic: String) -> [PeerID] { topics[topic].map { Array($0.mesh) } ?? [] }

    /// The peers that have subscribed to a topic, as far as they are connected.
    public func subscribers(_ topic: String) -> [PeerID] {
        peers.filter { $0.value.topics.contains(topic) }.map(\.key)
    }

    /// Joins a topic.
    public mutating func subscribe(_ topic: String, now: Duration) -> [Action] {
        guard topics[topic] == nil else { return [] }
        topics[topic] = Topic()
        var output = Output()
        for peer in peers.keys {
            output[peer].subscriptions.append(.init(subscribe: true, topic: topic))
        }
        let known = fanouts.removeValue(forKey: topic)?.peers ?? []
        for peer in known where canMesh(peer, topic, now: now) { graft(peer, topic, &output) }
        fill(topic, to: configuration.degree, now: now, &output)
        return output.actions
    }

    /// Leaves a topic.
    public mutating func unsubscribe(_ topic: String, now: Duration) -> [Action] {
        guard let state = topics.removeValue(forKey: topic) else { return [] }
        var output = Output()
        for peer in peers.keys {
            output[peer].subscriptions.append(.init(subscribe: false, topic: topic))
        }
        for peer in state.mesh { output[peer].prune.append(pruning(topic)) }
        return output.actions
    }

    /// Sends out a message of this host's own. It goes to every known subscriber, so that it is in many hands before the
    /// mesh has any part in it (gossipsub 1.1, "Flood Publishing"); without any it is offered later.
    public mutating func publish(_ message: GossipMessage, now: Duration) -> [Action] {
        guard seen.insert(message.id, now: now) else { return [] }
        recent.insert(message)
        var output = Output()
        let all = subscribers(message.topic)
        for peer in all { send(message, to: peer, &output) }
        if topics[message.topic] == nil {
            let chosen = random.choose(configuration.degree, of: all)
            fanouts[message.topic] = Fanout(peers: OrderedSet(chosen), lastPublished: now)
        }
        return output.actions
    }

    // MARK: What happens to peers

    /// A peer is ready to be sent RPCs, over a stream of one of the protocols `.meshsub12`, `.meshsub11`, `.floodsub`.
    public mutating func connected(_ peer: PeerID, protocolID: ProtocolID) -> [Action] {
        guard peers[peer] == nil else { return [] }
        peers[peer] = Peer(meshes: protocolID != .floodsub, understandsIDontWant: protocolID == .meshsub12)
        var output = Output()
        output[peer].subscriptions = topics.keys.map { .init(subscribe: true, topic: $0) }
        return output.actions
    }

    /// A peer can no longer be sent anything.
    public mutating func disconnected(_ peer: PeerID) {
        peers[peer] = nil
        for topic in topics.keys { topics[topic]?.mesh.remove(peer) }
        for topic in fanouts.keys { fanouts[topic]?.peers.remove(peer) }
    }

    /// A peer has sent an RPC. RPCs of peers that are not connected here are dropped.
    public mutating func received(_ rpc: GossipRPC, from peer: PeerID, now: Duration) -> [Action] {
        guard peers[peer] != nil else { return [] }
        var output = Output()
        for subscription in rpc.subscriptions { subscribed(peer, subscription, now: now, &output) }
        for message in rpc.messages { received(message, from: peer, &output) }
        for id in rpc.iDontWant { unwanted(id, by: peer) }
        for offer in rpc.iHave { offered(offer, by: peer, &output) }
        wanted(rpc.iWant, by: peer, &output)
        for topic in rpc.graft { grafted(peer, topic, now: now, &output) }
        for item in rpc.prune { pruned(peer, item, now: now) }
        return output.actions
    }

    /// Whether the author has signed a message that was to be verified.
    ///
    /// Only now does it count as seen: else a forger could keep out the true message of the same number.
    public mutating func verified(
        _ message: GossipMessage, from peer: PeerID, isSigned: Bool, now: Duration
    ) -> [Action] {
        guard isSigned, seen.insert(message.id, now: now) else {
            pending = max(pending - 1, 0)
            return []
        }
        return [.validate(message, from: peer)]
    }

    /// The verdict on a message that was to be validated.
    public mutating func validated(
        _ message: GossipMessage, from peer: PeerID, _ verdict: Verdict, now: Duration
    ) -> [Action] {
        pending = max(pending - 1, 0)
        guard verdict == .accept else { return [] }
        recent.insert(message)
        var output = Output()
        let mesh = topics[message.topic]?.mesh ?? []
        for (other, state) in peers where other != peer && other != message.author {
            let reached = state.meshes ? mesh.contains(other) : state.topics.contains(message.topic)
            if reached { send(message, to: other, &output) }
        }
        return [.deliver(message, from: peer)] + output.actions
    }

    /// To be called at the configured interval: mends the meshes, offers messages, forgets old ones.
    public mutating func heartbeat(now: Duration) -> [Action] {
        var output = Output()
        for peer in peers.keys {
            peers[peer]?.offers = 0
            peers[peer]?.asked = 0
            if let state = peers[peer], !(state.unwanted.isEmpty && state.unwantedBefore.isEmpty) {
                peers[peer]?.unwantedBefore = state.unwanted
                peers[peer]?.unwanted = []
            }
        }
        for topic in Array(topics.keys) {
            topics[topic]?.backoff.removeAll { $0.value <= now }
            let count = topics[topic]?.mesh.count ?? 0
            if count < configuration.degreeLow {
                fill(topic, to: configuration.degree, now: now, &output)
            } else if count > configuration.degreeHigh {
                cut(topic, by: count - configuration.degree, now: now, &output)
            }
            offer(topic, besides: topics[topic]?.mesh ?? [], &output)
        }
        fanouts.removeAll { now - $0.value.lastPublished >= configuration.fanoutLifetime }
        for (topic, fanout) in fanouts { offer(topic, besides: fanout.peers, &output) }
        recent.shift()
        return output.actions
    }
}

// MARK: - Messages

extension GossipsubRouter {
    private mutating func received(_ message: GossipMessage, from peer: PeerID, _ output: inout Output) {
        guard topics[message.topic] != nil, message.author != own,
            message.data.count <= configuration.maximumData, pending < GossipsubLimits.pendingValidations,
            !seen.contains(message.id)
        else { return }
        pending += 1
        output.first.append(.verify(message, from: peer))
    }

    private mutating func send(_ message: GossipMessage, to peer: PeerID, _ output: inout Output) {
        guard let state = peers[peer] else { return }
        if !state.unwanted.isEmpty || !state.unwantedBefore.isEmpty {
            let id = message.id
            guard !state.unwanted.contains(id), !state.unwantedBefore.contains(id) else { return }
        }
        output.add(message, for: peer)
    }

    private mutating func unwanted(_ id: GossipMessage.ID, by peer: PeerID) {
        guard let state = peers[peer], state.understandsIDontWant,
            state.unwanted.count < GossipsubLimits.unwantedPerPeer
        else { return }
        peers[peer]?.unwanted.insert(id)
    }

    private mutating func offered(_ offer: GossipRPC.IHave, by peer: PeerID, _ output: inout Output) {
        guard topics[offer.topic] != nil, var state = peers[peer],
            state.offers < GossipsubLimits.offersPerHeartbeat
        else { return }
        state.offers += 1
        for id in offer.ids {
            guard state.asked < GossipsubLimits.idsPerHeartbeat else { break }
            guard !seen.contains(id) else { continue }
            output[peer].iWant.append(id)
            state.asked += 1
        }
        peers[peer] = state
    }

    private mutating func wanted(_ ids: [GossipMessage.ID], by peer: PeerID, _ output: inout Output) {
        for id in ids {
            if let message = recent.message(id, for: peer) { output.add(message, for: peer) }
        }
    }

    /// Offers recent messages to some peers that are not sent them anyway.
    private mutating func offer(_ topic: String, besides others: OrderedSet<PeerID>, _ output: inout Output) {
        let ids = recent.offers(topic: topic, limit: GossipsubLimits.idsPerHeartbeat)
        guard !ids.isEmpty else { return }
        let candidates = peers.filter {
            $0.value.meshes && $0.value.topics.contains(topic) && !others.contains($0.key)
        }.map(\.key)
        // A quarter of the peers when there are many, so that rumours reach everyone in a few heartbeats.
        let count = max(configuration.degreeLazy, candidates.count / 4)
        for peer in random.choose(count, of: candidates) {
            output[peer].iHave.append(.init(topic: topic, ids: ids))
        }
    }
}

// MARK: - Meshes

extension GossipsubRouter {
    private mutating func subscribed(
        _ peer: PeerID, _ subscription: GossipRPC.Subscription, now: Duration, _ output: inout Output
    ) {
        let topic = subscription.topic
        guard subscription.subscribe else {
            peers[peer]?.topics.remove(topic)
            topics[topic]?.mesh.remove(peer)
            fanouts[topic]?.peers.remove(peer)
            return
        }
        guard let state = peers[peer], state.topics.count < GossipsubLimits.topicsPerPeer else { return }
        peers[peer]?.topics.append(topic)
        // A small mesh takes a newcomer at once, not at the next heartbeat.
        if let mesh = topics[topic]?.mesh, mesh.count < configuration.degreeLow,
            canMesh(peer, topic, now: now)
        {
            graft(peer, topic, &output)
        }
    }

    private mutating func grafted(_ peer: PeerID, _ topic: String, now: Duration, _ output: inout Output) {
        // A topic that is not known here is not answered (gossipsub 1.1): the answer would be work for nothing.
        guard let state = topics[topic], !state.mesh.contains(peer) else { return }
        let isBackingOff = state.backoff[peer].map { $0 > now } ?? false
        let meshes = peers[peer]?.meshes ?? false
        guard meshes, !isBackingOff, state.mesh.count < configuration.degreeHigh else {
            backOff(peer, topic, until: now + configuration.pruneBackoff)
            output[peer].prune.append(pruning(topic))
            return
        }
        topics[topic]?.mesh.append(peer)
        // Whoever asks into the mesh is a subscriber, even if its saying so is still on the way.
        if (peers[peer]?.topics.count ?? 0) < GossipsubLimits.topicsPerPeer {
            peers[peer]?.topics.append(topic)
        }
    }

    private mutating func pruned(_ peer: PeerID, _ item: GossipRPC.Prune, now: Duration) {
        guard topics[item.topic] != nil else { return }
        topics[item.topic]?.mesh.remove(peer)
        var backoff = configuration.pruneBackoff
        if let seconds = item.backoff.flatMap({ Int64(exactly: $0) }), seconds > 0 {
            let longest = GossipsubLimits.longestBackoff
            backoff = seconds < longest.components.seconds ? .seconds(seconds) : longest
        }
        backOff(peer, item.topic, until: now + backoff)
    }

    private mutating func backOff(_ peer: PeerID, _ topic: String, until end: Duration) {
        let known = topics[topic]?.backoff[peer] ?? .zero
        topics[topic]?.backoff[peer] = max(end, known)
    }

    private func pruning(_ topic: String) -> GossipRPC.Prune {
        GossipRPC.Prune(topic: topic, backoff: UInt64(exactly: configuration.pruneBackoff.components.seconds))
    }

    private func canMesh(_ peer: PeerID, _ topic: String, now: Duration) -> Bool {
        guard let state = peers[peer], state.meshes, state.topics.contains(topic), let own = topics[topic]
        else {
            return false
        }
        return !own.mesh.contains(peer) && (own.backoff[peer].map { $0 <= now } ?? true)
    }

    private mutating func graft(_ peer: PeerID, _ topic: String, _ output: inout Output) {
        topics[topic]?.mesh.append(peer)
        output[peer].graft.append(topic)
    }

    /// Asks peers into a topic's mesh until it has `count`.
    private mutating func fill(_ topic: String, to count: Int, now: Duration, _ output: inout Output) {
        let missing = count - (topics[topic]?.mesh.count ?? count)
        guard missing > 0 else { return }
        let candidates = Array(peers.keys.filter { canMesh($0, topic, now: now) })
        for peer in random.choose(missing, of: candidates) { graft(peer, topic, &output) }
    }

    /// Sends some peers out of a topic's mesh.
    private mutating func cut(_ topic: String, by count: Int, now: Duration, _ output: inout Output) {
        for peer in random.choose(count, of: mesh(topic)) {
            topics[topic]?.mesh.remove(peer)
            backOff(peer, topic, until: now + configuration.pruneBackoff)
            output[peer].prune.append(pruning(topic))
        }
    }
}

// MARK: - Actions

extension GossipsubRouter {
    /// Gathers what one event makes of it into few RPCs, in the order in which peers are first spoken to.
    private struct Output {
        /// Actions that are not RPCs; they come first.
        var first: [Action] = []
        private var rpcs: OrderedDictionary<PeerID, GossipRPC> = [:]
        private var sizes: OrderedDictionary<PeerID, Int> = [:]
        private var full: [Action] = []

        subscript(peer: PeerID) -> GossipRPC {
            get { rpcs[peer] ?? GossipRPC() }
            set { rpcs[peer] = newValue }
        }

        /// Adds a message, in an RPC of its own when the peer's is full.
        mutating func add(_ message: GossipMessage, for peer: PeerID) {
            // Length and tag of the field, and some room for control.
            let size = message.encoded.count + 16
            if let held = sizes[peer], held + size > GossipRPC.maximumSize / 2 {
                full.append(.send(peer, self[peer]))
                rpcs[peer] = GossipRPC()
                sizes[peer] = 0
            }
            self[peer].messages.append(message)
            sizes[peer, default: 0] += size
        }

        var actions: [Action] {
            first + full + rpcs.filter { !$0.value.isEmpty }.map { .send($0.key, $0.value) }
        }
    }
}
