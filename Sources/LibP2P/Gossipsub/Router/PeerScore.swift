import Bytes
import Collections
import Multiformats

/// What this host thinks of its peers' conduct: a number for each, from what it saw itself.
///
/// gossipsub 1.1 specification, "Peer Scoring". A machine: it is told what happened and when, and decays by `refresh`.
public struct PeerScore: Sendable {
    /// Scores of peers that have left, kept at most; beyond it the one that left first is forgotten.
    static let maximumRetained = 4_096
    /// Messages remembered for what their later copies say of who brings them.
    static let maximumDeliveries = 20_000

    private struct Counters {
        var graftedAt: Duration?
        var timeInMesh = Duration.zero
        var first = 0.0
        var mesh = 0.0
        var failure = 0.0
        var invalid = 0.0

        /// What is missing of the messages expected of a mesh peer.
        func deficit(_ parameters: PeerScoreParameters.Topic) -> Double {
            guard graftedAt != nil, timeInMesh > parameters.meshDeliveriesActivation else { return 0 }
            return max(0, parameters.meshDeliveriesThreshold - mesh)
        }

        func value(_ parameters: PeerScoreParameters.Topic) -> Double {
            let quanta = min(timeInMesh / parameters.timeInMeshQuantum, parameters.timeInMeshCap)
            let deficit = deficit(parameters)
            return (graftedAt == nil ? 0 : quanta * parameters.timeInMeshWeight)
                + first * parameters.firstDeliveriesWeight
                + deficit * deficit * parameters.meshDeliveriesWeight
                + failure * parameters.meshFailureWeight
                + invalid * invalid * parameters.invalidWeight
        }
    }

    private struct Peer {
        var topics: OrderedDictionary<RawText, Counters> = [:]
        var address: RawText?
        var application = 0.0
        var behaviour = 0.0
        /// When to forget a peer that has left; nil while it is connected.
        var forgetAt: Duration?

        /// Changes the counters of a topic; returns the peer as it is then.
        mutating func change(_ topic: RawText, _ body: (inout Counters) -> Void) -> Peer {
            body(&topics[topic, default: Counters()])
            return self
        }

        mutating func decay(_ parameters: PeerScoreParameters, now: Duration) {
            guard forgetAt == nil else { return }
            func decayed(_ value: Double, _ factor: Double) -> Double {
                let value = value * factor
                return value < parameters.decayToZero ? 0 : value
            }
            for (name, known) in topics {
                guard let topic = parameters.topic(name) else { continue }
                var counters = known
                counters.first = decayed(counters.first, topic.firstDeliveriesDecay)
                counters.mesh = decayed(counters.mesh, topic.meshDeliveriesDecay)
                counters.failure = decayed(counters.failure, topic.meshFailureDecay)
                counters.invalid = decayed(counters.invalid, topic.invalidDecay)
                if let grafted = counters.graftedAt { counters.timeInMesh = now - grafted }
                topics[name] = counters
            }
            behaviour = decayed(behaviour, parameters.behaviourDecay)
        }
    }

    private struct Delivery {
        /// When the message was accepted; nil if it was rejected.
        let acceptedAt: Duration?
        /// Who has brought it, so that nobody counts twice.
        var bringers: OrderedSet<PeerID>
    }

    private let parameters: PeerScoreParameters
    private var peers: OrderedDictionary<PeerID, Peer> = [:]
    /// What comes of it for each, up to date: scores are asked for far more often than they change.
    private var scores: [PeerID: Double] = [:]
    private var retained = 0
    private var atAddress: [RawText: Int] = [:]
    private var deliveries: [GossipMessage.ID: Delivery] = [:]
    private var deliveryOrder = Deque<(id: GossipMessage.ID, at: Duration)>()
    private var lastDecay = Duration.zero

    /// A score that knows nobody.
    public init(_ parameters: PeerScoreParameters = PeerScoreParameters()) {
        self.parameters = parameters
    }

    // MARK: Scores

    /// A peer's score; zero for one that is not known.
    public func score(_ id: PeerID) -> Double { scores[id] ?? 0 }

    /// Brings a peer's score up to date.
    private mutating func update(_ id: PeerID) {
        scores[id] = peers[id].map(score)
    }

    /// Does the same for all peers at an address.
    private mutating func update(at address: RawText) {
        for (id, peer) in peers where peer.address == address { scores[id] = score(peer) }
    }

    private func score(_ peer: Peer) -> Double {
        var topics = 0.0
        for (name, counters) in peer.topics {
            guard let topic = topic(name) else { continue }
            topics += topic.weight * counters.value(topic)
        }
        let surplus = Double(
            max(0, (peer.address.flatMap { atAddress[$0] } ?? 0) - parameters.colocationThreshold))
        let behaviour = max(0, peer.behaviour - parameters.behaviourThreshold)
        return min(topics, parameters.topicCap)
            + parameters.applicationWeight * peer.application
            + parameters.colocationWeight * surplus * surplus
            + parameters.behaviourWeight * behaviour * behaviour
    }

    private func topic(_ name: RawText) -> PeerScoreParameters.Topic? { parameters.topic(name) }

    // MARK: What happens to peers

    /// A peer is there. `address` is what peers of one owner would share; nil counts as nobody else's.
    public mutating func connected(_ id: PeerID, address: String?) {
        guard peers[id]?.forgetAt != nil || peers[id] == nil else { return }
        var peer = peers[id] ?? Peer()
        if peer.forgetAt != nil { retained -= 1 }
        peer.forgetAt = nil
        let address = address.map { RawText($0) }
        peer.address = address
        peers[id] = peer
        update(id)
        guard let address else { return }
        atAddress[address, default: 0] += 1
        update(at: address)
    }

    /// A peer has left. What is thought of it is kept for a while, as it was: leaving makes nothing good or bad.
    public mutating func disconnected(_ id: PeerID, now: Duration) {
        guard var peer = peers[id], peer.forgetAt == nil else { return }
        for topic in peer.topics.keys { leave(topic, &peer) }
        // To the end, so that those that have left stand in the order in which they did.
        peers[id] = nil
        if let address = peer.address {
            atAddress[address] = atAddress[address].flatMap { $0 > 1 ? $0 - 1 : nil }
            update(at: address)
        }
        peer.address = nil
        peer.forgetAt = now + parameters.retention
        if score(peer) != 0 {
            peers[id] = peer
            retained += 1
        }
        update(id)
        guard retained > Self.maximumRetained else { return }
        if let oldest = peers.first(where: { $0.value.forgetAt != nil })?.key { forget(oldest) }
    }

    /// Forgets a peer that has left.
    private mutating func forget(_ id: PeerID) {
        peers[id] = nil
        scores[id] = nil
        retained -= 1
    }

    /// A peer is in a topic's mesh now.
    public mutating func grafted(_ id: PeerID, _ topic: RawText, now: Duration) {
        change(id, topic) {
            guard $0.graftedAt == nil else { return }
            $0.graftedAt = now
            $0.timeInMesh = .zero
        }
    }

    /// A peer is in a topic's mesh no longer.
    public mutating func pruned(_ id: PeerID, _ topic: RawText) {
        guard var peer = peers[id] else { return }
        leave(topic, &peer)
        peers[id] = peer
        update(id)
    }

    private func leave(_ name: RawText, _ peer: inout Peer) {
        guard let topic = topic(name), let counters = peer.topics[name], counters.graftedAt != nil else {
            return
        }
        let deficit = counters.deficit(topic)
        peer.topics[name]?.failure += deficit * deficit
        peer.topics[name]?.graftedAt = nil
        peer.topics[name]?.timeInMesh = .zero
        peer.topics[name]?.mesh = 0
    }

    /// What the application thinks of a connected peer (P5); replaces what it thought before.
    public mutating func setApplicationScore(_ id: PeerID, _ value: Double) {
        peers[id]?.application = value
        update(id)
    }

    /// A peer has broken the router's rules.
    public mutating func misbehaved(_ id: PeerID, _ count: Int = 1) {
        peers[id]?.behaviour += Double(count)
        update(id)
    }

    // MARK: What happens to messages

    /// A message was accepted. `others` brought it too, before that was known.
    public mutating func accepted(
        _ message: GossipMessage.ID, _ topic: RawText, first: PeerID, others: OrderedSet<PeerID>,
        now: Duration
    ) {
        guard let parameters = self.topic(topic) else { return }
        change(first, topic) { $0.first = min($0.first + 1, parameters.firstDeliveriesCap) }
        deliveredInMesh(first, topic, parameters)
        for other in others where other != first { deliveredInMesh(other, topic, parameters) }
        var bringers = others
        bringers.append(first)
        remember(message, Delivery(acceptedAt: now, bringers: bringers), now)
    }

    /// A message was rejected, having been brought by these peers.
    public mutating func rejected(
        _ message: GossipMessage.ID, _ topic: RawText, _ bringers: OrderedSet<PeerID>, now: Duration
    ) {
        for peer in bringers { invalid(peer, topic) }
        remember(message, Delivery(acceptedAt: nil, bringers: bringers), now)
    }

    /// A peer has brought a message that was accepted or rejected before.
    public mutating func duplicate(
        _ message: GossipMessage.ID, _ topic: RawText, from peer: PeerID, now: Duration
    ) {
        guard let parameters = self.topic(topic), let delivery = deliveries[message],
            !delivery.bringers.contains(peer)
        else { return }
        guard let acceptedAt = delivery.acceptedAt else {
            deliveries[message]?.bringers.append(peer)
            return invalid(peer, topic)
        }
        guard now - acceptedAt <= parameters.meshDeliveriesWindow else { return }
        deliveries[message]?.bringers.append(peer)
        deliveredInMesh(peer, topic, parameters)
    }

    /// A peer has brought what its author did not sign.
    public mutating func invalid(_ peer: PeerID, _ topic: RawText) {
        change(peer, topic) { $0.invalid += 1 }
    }

    private mutating func deliveredInMesh(
        _ peer: PeerID, _ topic: RawText, _ parameters: PeerScoreParameters.Topic
    ) {
        change(peer, topic) {
            if $0.graftedAt != nil { $0.mesh = min($0.mesh + 1, parameters.meshDeliveriesCap) }
        }
    }

    private mutating func change(_ peer: PeerID, _ topic: RawText, _ body: (inout Counters) -> Void) {
        guard self.topic(topic) != nil, let changed = peers[peer]?.change(topic, body) else { return }
        scores[peer] = score(changed)
    }

    private mutating func remember(_ message: GossipMessage.ID, _ delivery: Delivery, _ now: Duration) {
        if deliveries.updateValue(delivery, forKey: message) == nil { deliveryOrder.append((message, now)) }
        while deliveryOrder.count > Self.maximumDeliveries { forgetDelivery() }
    }

    private mutating func forgetDelivery() {
        if let oldest = deliveryOrder.popFirst() { deliveries[oldest.id] = nil }
    }

    // MARK: Time

    /// Lets counters decay and forgets what is too old. To be called at least as often as counters decay.
    public mutating func refresh(now: Duration) {
        if retained > 0 {
            let left: [PeerID] = peers.lazy.filter { $0.value.forgetAt.map { $0 <= now } ?? false }.map(\.key)
            for id in left { forget(id) }
        }
        while let oldest = deliveryOrder.first, now - oldest.at >= SeenMessages.lifetime { forgetDelivery() }
        guard now - lastDecay >= parameters.decayInterval else { return }
        lastDecay = now
        for id in peers.keys {
            peers[id]?.decay(parameters, now: now)
            scores[id] = peers[id].map(score)
        }
    }
}
