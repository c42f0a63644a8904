import Bytes
import Collections
import Multiformats

/// The scores of peers' conduct, from this host's own observations.
///
/// gossipsub 1.1 specification, "Peer Scoring". A machine: time comes from outside, and `refresh` lets scores decay.
struct PeerScore: Sendable {
    /// The most scores kept of peers that have left; beyond that, the one that left first is forgotten.
    static let maximumRetained = 4_096
    /// The most messages remembered, to score the peers that send later copies.
    static let maximumDeliveries = 20_000

    private struct Counters {
        var graftedAt: Duration?
        var timeInMesh = Duration.zero
        var first = 0.0
        var mesh = 0.0
        var failure = 0.0
        var invalid = 0.0

        /// Returns how many of the messages expected from a mesh peer are missing.
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

        /// Changes the counters of a topic and returns the changed peer.
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
        /// The peers that have sent it, so that none counts twice.
        var bringers: OrderedSet<PeerID>
    }

    private let parameters: PeerScoreParameters
    private var peers: OrderedDictionary<PeerID, Peer> = [:]
    /// The current scores, kept because they are read far more often than they change.
    private var scores: [PeerID: Double] = [:]
    private var retained = 0
    private var atAddress: [RawText: Int] = [:]
    private var deliveries: [GossipMessage.ID: Delivery] = [:]
    private var deliveryOrder = Deque<(id: GossipMessage.ID, at: Duration)>()
    private var lastDecay = Duration.zero

    init(_ parameters: PeerScoreParameters = PeerScoreParameters()) {
        self.parameters = parameters
    }

    // MARK: Scores

    /// Returns a peer's score; zero for an unknown peer.
    func score(_ id: PeerID) -> Double { scores[id] ?? 0 }

    /// Updates a peer's score.
    private mutating func update(_ id: PeerID) {
        scores[id] = peers[id].map(score)
    }

    /// Updates the scores of all peers at an address.
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

    /// Adds a peer. `address` is what peers of one owner share; nil is shared with no other peer.
    mutating func connected(_ id: PeerID, address: String?) {
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

    /// Notes that a peer has left. Its score is kept for a while, unchanged, so that reconnecting does not reset it.
    mutating func disconnected(_ id: PeerID, now: Duration) {
        guard var peer = peers[id], peer.forgetAt == nil else { return }
        for topic in peer.topics.keys { leave(topic, &peer) }
        // Moves the peer to the end, so that peers that have left stay in order of leaving.
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

    /// Notes that a peer has joined a topic's mesh.
    mutating func grafted(_ id: PeerID, _ topic: RawText, now: Duration) {
        change(id, topic) {
            guard $0.graftedAt == nil else { return }
            $0.graftedAt = now
            $0.timeInMesh = .zero
        }
    }

    /// Notes that a peer has left a topic's mesh.
    mutating func pruned(_ id: PeerID, _ topic: RawText) {
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

    /// Sets the application's score of a connected peer (P5).
    mutating func setApplicationScore(_ id: PeerID, _ value: Double) {
        peers[id]?.application = value
        update(id)
    }

    /// Counts breaches of the router's rules.
    mutating func misbehaved(_ id: PeerID, _ count: Int = 1) {
        peers[id]?.behaviour += Double(count)
        update(id)
    }

    // MARK: What happens to messages

    /// Notes that a message was accepted. `others` are peers that sent it before that.
    mutating func accepted(
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

    /// Notes that a message from these peers was rejected.
    mutating func rejected(
        _ message: GossipMessage.ID, _ topic: RawText, _ bringers: OrderedSet<PeerID>, now: Duration
    ) {
        for peer in bringers { invalid(peer, topic) }
        remember(message, Delivery(acceptedAt: nil, bringers: bringers), now)
    }

    /// Notes that a peer has sent a message that was accepted or rejected before.
    mutating func duplicate(
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

    /// Counts an invalid message from a peer.
    mutating func invalid(_ peer: PeerID, _ topic: RawText) {
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

    /// Lets counters decay and forgets old entries. Call it at least once per `decayInterval`.
    mutating func refresh(now: Duration) {
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
