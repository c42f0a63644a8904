import Bytes
import Collections
import Multiformats

/// Meshes: whom the router grafts, admits and prunes.
extension GossipsubRouter {
    /// How much later than allowed a peer is grafted again: its clock may be behind by a heartbeat.
    var backoffSlack: Duration { configuration.heartbeat }

    // MARK: What peers want

    /// Handles a peer's GRAFT.
    mutating func grafted(_ peer: PeerID, _ topic: RawText, now: Duration, _ output: inout Output) {
        // A GRAFT for an unknown topic is not answered (gossipsub 1.1), so that spam causes no work.
        guard let mesh = meshes[topic], let state = peers[peer], !mesh.contains(peer) else { return }
        if let end = backoffs[topic]?[peer], end > now, !state.isDirect {
            counters.earlyGrafts &+= 1
            let begun = end - configuration.pruneBackoff
            scores.misbehaved(peer, now < begun + configuration.graftFloodThreshold ? 2 : 1)
            return prune(peer, topic, backoff: configuration.pruneBackoff, now: now, &output)
        }
        let isFull = mesh.count >= configuration.degreeHigh && !state.isOutbound
        guard state.meshes, !state.isDirect, score(peer) >= 0, !isFull else {
            return prune(
                peer, topic, backoff: configuration.pruneBackoff, exchange: isFull, now: now, &output)
        }
        meshes[topic]?.append(peer)
        scores.grafted(peer, topic, now: now)
        // A peer that grafts is a subscriber, even if its subscription has not arrived yet.
        if state.topics.count < GossipsubLimits.topicsPerPeer { peers[peer]?.topics.append(topic) }
    }

    /// Handles a peer's PRUNE.
    mutating func pruned(
        _ peer: PeerID, _ item: GossipRPC.Prune, now: Duration, _ output: inout Output
    ) {
        guard meshes[item.topic] != nil else { return }
        if meshes[item.topic]?.remove(peer) != nil { scores.pruned(peer, item.topic) }
        var backoff = configuration.pruneBackoff
        if let seconds = item.backoff.flatMap({ Int64(exactly: $0) }), seconds > 0 {
            let longest = GossipsubLimits.longestBackoff
            backoff = seconds < longest.components.seconds ? .seconds(seconds) : longest
        }
        backOff(peer, item.topic, until: now + backoff)
        guard configuration.peerExchange, !item.peers.isEmpty,
            score(peer) >= configuration.score.acceptPeerExchangeThreshold
        else { return }
        let strangers = item.peers.prefix(GossipsubLimits.exchangedPeers).filter {
            $0 != own && peers[$0] == nil
        }
        output.first += strangers.map { .connect($0) }
    }

    // MARK: Maintenance

    /// gossipsub 1.1, "Heartbeat Maintenance", "Outbound Mesh Quotas" and "Opportunistic Grafting".
    mutating func maintain(_ topic: RawText, now: Duration, _ output: inout Output) {
        for peer in mesh(topic) where score(peer) < 0 {
            prune(peer, topic, backoff: configuration.pruneBackoff, now: now, &output)
        }
        let count = meshes[topic]?.count ?? 0
        if count < configuration.degreeLow {
            fill(topic, to: configuration.degree, now: now, &output)
        } else if count > configuration.degreeHigh {
            cut(topic, now: now, &output)
        }
        let mesh = mesh(topic)
        if mesh.count >= configuration.degreeLow {
            let missing = configuration.degreeOut - mesh.count { peers[$0]?.isOutbound == true }
            if missing > 0 {
                let candidates = candidates(topic, now: now).filter { peers[$0]?.isOutbound == true }
                invite(missing, of: candidates, topic, now: now, &output)
            }
        }
        if beats % configuration.opportunisticGraftBeats == 0, mesh.count > 1 {
            let median = mesh.map { score($0) }.sorted()[mesh.count / 2]
            guard median < configuration.score.opportunisticGraftThreshold else { return }
            let candidates = candidates(topic, now: now).filter { score($0) > median }
            invite(configuration.opportunisticGrafts, of: candidates, topic, now: now, &output)
        }
    }

    func canMesh(_ peer: PeerID, _ topic: RawText, now: Duration) -> Bool {
        guard let state = peers[peer], let mesh = meshes[topic], state.meshes, !state.isDirect,
            state.topics.contains(topic), !mesh.contains(peer)
        else { return false }
        return (backoffs[topic]?[peer].map { $0 + backoffSlack <= now } ?? true) && score(peer) >= 0
    }

    mutating func graft(_ peer: PeerID, _ topic: RawText, now: Duration, _ output: inout Output) {
        meshes[topic]?.append(peer)
        scores.grafted(peer, topic, now: now)
        output[peer].graft.append(topic)
    }

    /// Grafts peers into a topic's mesh until it has `count`.
    mutating func fill(_ topic: RawText, to count: Int, now: Duration, _ output: inout Output) {
        let missing = count - (meshes[topic]?.count ?? count)
        guard missing > 0 else { return }
        invite(missing, of: candidates(topic, now: now), topic, now: now, &output)
    }

    private func candidates(_ topic: RawText, now: Duration) -> [PeerID] {
        peers.keys.filter { canMesh($0, topic, now: now) }
    }

    private mutating func invite(
        _ count: Int, of candidates: [PeerID], _ topic: RawText, now: Duration, _ output: inout Output
    ) {
        for peer in random.choose(count, of: candidates) { graft(peer, topic, now: now, &output) }
    }

    /// Prunes peers from a topic's mesh until it has D. The best stay, some others at random, and enough of those that
    /// this host has dialled.
    private mutating func cut(_ topic: RawText, now: Duration, _ output: inout Output) {
        let scored = random.choose(.max, of: mesh(topic)).map { (peer: $0, score: score($0)) }
        let ranked = scored.sorted { $0.score > $1.score }.map(\.peer)
        let best = ranked.prefix(configuration.degreeScore)
        let rest = random.choose(.max, of: Array(ranked.dropFirst(configuration.degreeScore)))
        let order = best + rest
        let outbound = order.filter { peers[$0]?.isOutbound == true }.prefix(configuration.degreeOut)
        var kept = OrderedSet(order.prefix(configuration.degree))
        for peer in outbound where !kept.contains(peer) {
            // The last peer that is not one of these makes room.
            guard let last = kept.last(where: { !outbound.contains($0) }) else { break }
            kept.remove(last)
            kept.append(peer)
        }
        for peer in order where !kept.contains(peer) {
            prune(peer, topic, backoff: configuration.pruneBackoff, exchange: true, now: now, &output)
        }
    }

    // MARK: Pruning

    /// Removes a peer from the mesh or refuses its GRAFT. `exchange`: the reason is lack of room, so that other peers
    /// may be named.
    mutating func prune(
        _ peer: PeerID, _ topic: RawText, backoff: Duration, exchange: Bool = false, now: Duration,
        _ output: inout Output
    ) {
        if meshes[topic]?.remove(peer) != nil { scores.pruned(peer, topic) }
        backOff(peer, topic, until: now + backoff)
        var item = GossipRPC.Prune(topic: topic, backoff: UInt64(exactly: backoff.components.seconds))
        if exchange, configuration.peerExchange, score(peer) >= 0 {
            let others = subscribers(topic).filter { $0 != peer && score($0) >= 0 }
            item.peers = random.choose(GossipsubLimits.exchangedPeers, of: others)
        }
        output[peer].prune.append(item)
    }

    private mutating func backOff(_ peer: PeerID, _ topic: RawText, until end: Duration) {
        let known = backoffs[topic]?[peer] ?? .zero
        backoffs[topic, default: [:]][peer] = max(end, known)
        if backoffs[topic, default: [:]].count > GossipsubLimits.backoffs {
            backoffs[topic]?.removeFirst()
        }
    }
}
