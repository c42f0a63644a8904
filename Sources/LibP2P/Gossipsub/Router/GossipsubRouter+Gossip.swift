import Bytes
import Collections
import Multiformats

/// Gossip: offering messages to peers outside the mesh, and requesting missing ones.
extension GossipsubRouter {
    private func gossips(with peer: PeerID) -> Bool {
        peers[peer]?.isDirect == true || score(peer) >= configuration.score.gossipThreshold
    }

    /// Handles a peer's IHAVE. Requests the missing messages; one of each offer, chosen at random, counts as a promise
    /// (gossipsub 1.1, "Spam Protection Measures").
    mutating func offered(
        _ offer: GossipRPC.IHave, by peer: PeerID, now: Duration, _ output: inout Output
    ) {
        guard meshes[offer.topic] != nil, var state = peers[peer], gossips(with: peer),
            state.offers < GossipsubLimits.offersPerHeartbeat
        else { return }
        state.offers += 1
        let room = max(0, GossipsubLimits.idsPerHeartbeat - state.asked)
        let unknown = OrderedSet(offer.ids.filter { !seen.contains($0) && unverified[$0] == nil })
        let missing = Array(unknown.prefix(room))
        state.asked += missing.count
        peers[peer] = state
        guard !missing.isEmpty else { return }
        output[peer].iWant += missing
        if let promise = random.choose(1, of: missing).first {
            promises.add(promise, by: peer, until: now + configuration.promiseLifetime)
        }
    }

    /// Handles a peer's IWANT.
    mutating func wanted(_ ids: [GossipMessage.ID], by peer: PeerID, _ output: inout Output) {
        guard !ids.isEmpty, gossips(with: peer) else { return }
        for id in ids {
            if let message = recent.message(id, for: peer) {
                output.first.append(.forward(message, to: [peer], .requested))
            }
        }
    }

    /// Offers recent messages to some peers that are not sent them otherwise (gossipsub 1.1, "Adaptive Gossip
    /// Dissemination").
    mutating func offer(_ topic: RawText, besides others: OrderedSet<PeerID>, _ output: inout Output) {
        // One RPC may offer a peer messages of all topics.
        let limit = GossipsubLimits.idsPerHeartbeat / max(1, meshes.count + fanouts.count)
        let ids = recent.offers(topic: topic, limit: limit)
        guard !ids.isEmpty else { return }
        let candidates = readers(of: topic, besides: others)
        let share = Int(Double(candidates.count) * configuration.gossipFactor)
        for peer in random.choose(max(configuration.degreeLazy, share), of: candidates) {
            output[peer].iHave.append(.init(topic: topic, ids: ids))
        }
    }

    /// Returns the subscribers that may be offered messages of a topic.
    private func readers(of topic: RawText, besides others: OrderedSet<PeerID>) -> [PeerID] {
        var readers: [PeerID] = []
        for (peer, state) in peers
        where state.meshes && !state.isDirect && state.topics.contains(topic) && !others.contains(peer)
            && gossips(with: peer)
        {
            readers.append(peer)
        }
        return readers
    }

    /// Maintains the peers of topics that are published to but not subscribed to, and offers the messages published.
    mutating func maintainFanouts(now: Duration, _ output: inout Output) {
        fanouts.removeAll { now - $0.value.lastPublished >= configuration.fanoutLifetime }
        for topic in fanouts.keys {
            guard var fanout = fanouts[topic] else { continue }
            fanout.peers = fanout.peers.filter { mayPublish(to: $0) }
            let others = peers.filter { peer, state in
                state.meshes && state.topics.contains(topic) && !fanout.peers.contains(peer)
                    && mayPublish(to: peer)
            }.map(\.key)
            fanout.peers.append(
                contentsOf:
                    random.choose(configuration.degree - fanout.peers.count, of: others))
            fanouts[topic] = fanout
            offer(topic, besides: fanout.peers, &output)
        }
    }
}

/// Messages that peers have offered and this host has requested.
struct GossipPromises {
    private var promises: OrderedDictionary<GossipMessage.ID, OrderedDictionary<PeerID, Duration>> = [:]

    /// Expects the message from a peer by `end`, unless another peer sends it.
    mutating func add(_ message: GossipMessage.ID, by peer: PeerID, until end: Duration) {
        if promises[message]?[peer] == nil { promises[message, default: [:]][peer] = end }
    }

    /// Notes that the message has arrived.
    mutating func kept(_ message: GossipMessage.ID) {
        guard promises[message] != nil else { return }
        promises[message] = nil
    }

    /// Removes overdue promises and returns their peers, once for each promise.
    mutating func broken(now: Duration) -> [PeerID] {
        var broken: [PeerID] = []
        for message in Array(promises.keys) {
            guard let peers = promises[message] else { continue }
            broken += peers.filter { $0.value <= now }.map(\.key)
            let left = peers.filter { $0.value > now }
            promises[message] = left.isEmpty ? nil : left
        }
        return broken
    }
}
