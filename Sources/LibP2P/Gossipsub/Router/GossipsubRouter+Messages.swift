import Bytes
import Collections
import Multiformats

/// Messages: how they are received, verified, validated and forwarded.
extension GossipsubRouter {
    /// Publishes a message of this host. With flood publishing it goes to every known subscriber, so that many peers
    /// have it before any mesh peer could suppress it (gossipsub 1.1, "Flood Publishing"). If there are no subscribers,
    /// it is offered later.
    public mutating func publish(_ message: GossipMessage, now: Duration) -> [Action] {
        guard seen.insert(message.id, now: now) else { return [] }
        recent.insert(message)
        let topic = message.topic
        let willing = subscribers(topic).filter { mayPublish(to: $0) }
        if meshes[topic] == nil {
            var chosen = (fanouts[topic]?.peers ?? []).filter { willing.contains($0) }
            let others = willing.filter { !chosen.contains($0) && peers[$0]?.meshes == true }
            chosen.append(contentsOf: random.choose(configuration.degree - chosen.count, of: others))
            fanouts[topic] = Fanout(peers: chosen, lastPublished: now)
        }
        var receivers = willing
        if !configuration.floodPublish {
            let mesh = meshes[topic] ?? fanouts[topic]?.peers ?? []
            receivers = willing.filter { mesh.contains($0) || served.contains($0) }
        }
        var output = Output()
        forward(message, to: receivers, .own, &output)
        return output.actions
    }

    func mayPublish(to peer: PeerID) -> Bool {
        peers[peer]?.isDirect == true || score(peer) >= configuration.score.publishThreshold
    }

    mutating func received(
        _ message: GossipMessage, from peer: PeerID, now: Duration, _ output: inout Output
    ) {
        promises.kept(message.id)
        guard meshes[message.topic] != nil, message.data.count <= configuration.maximumData else { return }
        guard message.author != own else {
            if !seen.contains(message.id) { output.first.append(.foreign(message, from: peer)) }
            return
        }
        guard !seen.contains(message.id) else {
            counters.duplicates &+= 1
            validating[message.id]?.append(peer)
            return scores.duplicate(message.id, message.topic, from: peer, now: now)
        }
        if let index = unverified[message.id]?.firstIndex(where: { $0.encoded == message.encoded }) {
            counters.duplicates &+= 1
            unverified[message.id]?[index].others.append(peer)
            return
        }
        let size = message.encoded.count
        guard let state = peers[peer], pending < GossipsubLimits.pendingMessages,
            pendingBytes + size <= GossipsubLimits.pendingBytes,
            state.pending < GossipsubLimits.pendingPerPeer,
            state.pendingBytes + size <= GossipsubLimits.pendingBytesPerPeer
        else {
            counters.overflowed &+= 1
            return
        }
        pending += 1
        pendingBytes += size
        peers[peer]?.pending += 1
        peers[peer]?.pendingBytes += size
        unverified[message.id, default: []].append(PendingMessage(encoded: message.encoded))
        output.first.append(.verify(message, from: peer))
    }

    /// Takes a message off the pending counts.
    private mutating func settle(_ message: GossipMessage, from peer: PeerID) {
        let size = message.encoded.count
        pending = max(pending - 1, 0)
        pendingBytes = max(pendingBytes - size, 0)
        guard let state = peers[peer] else { return }
        peers[peer]?.pending = max(state.pending - 1, 0)
        peers[peer]?.pendingBytes = max(state.pendingBytes - size, 0)
    }

    /// Takes the result of verifying a message's signature.
    ///
    /// Only a signed message counts as seen, and only then are peers told not to send it: otherwise a forgery could
    /// keep out the genuine message with the same number.
    public mutating func verified(
        _ message: GossipMessage, from peer: PeerID, isSigned: Bool, now: Duration
    ) -> [Action] {
        guard let index = unverified[message.id]?.firstIndex(where: { $0.encoded == message.encoded }),
            let item = unverified[message.id]?.remove(at: index)
        else { return [] }
        if unverified[message.id]?.isEmpty == true { unverified[message.id] = nil }
        var bringers = item.others
        bringers.append(peer)
        guard isSigned else {
            settle(message, from: peer)
            counters.rejected &+= 1
            for bringer in bringers { scores.invalid(bringer, message.topic) }
            return []
        }
        guard meshes[message.topic] != nil, seen.insert(message.id, now: now) else {
            settle(message, from: peer)
            return []
        }
        validating[message.id] = bringers
        var output = Output()
        output.first.append(.validate(message, from: peer))
        if message.data.count >= configuration.unwantedThreshold {
            for other in meshes[message.topic] ?? [] where !bringers.contains(other) {
                if peers[other]?.understandsIDontWant == true { output[other].iDontWant.append(message.id) }
            }
        }
        return output.actions
    }

    /// Takes the verdict on a message.
    public mutating func validated(
        _ message: GossipMessage, from peer: PeerID, _ verdict: Verdict, now: Duration
    ) -> [Action] {
        guard let bringers = validating.removeValue(forKey: message.id) else { return [] }
        settle(message, from: peer)
        switch verdict {
        case .reject:
            counters.rejected &+= 1
            scores.rejected(message.id, message.topic, bringers, now: now)
            return []
        case .ignore:
            counters.ignored &+= 1
            return []
        case .accept: break
        }
        counters.accepted &+= 1
        scores.accepted(message.id, message.topic, first: peer, others: bringers, now: now)
        recent.insert(message)
        var receivers = meshes[message.topic] ?? []
        for other in served where peers[other]?.topics.contains(message.topic) == true {
            receivers.append(other)
        }
        for bringer in bringers { receivers.remove(bringer) }
        receivers.remove(message.author)
        var output = Output()
        output.first.append(.deliver(message, from: peer))
        forward(message, to: Array(receivers), .relayed, &output)
        return output.actions
    }

    /// Sends a message to the peers that have not declined it by IDONTWANT.
    private func forward(
        _ message: GossipMessage, to receivers: [PeerID], _ priority: GossipPriority, _ output: inout Output
    ) {
        let wanting = receivers.filter { peer in
            guard let state = peers[peer] else { return false }
            return !state.unwanted.contains(message.id) && !state.unwantedBefore.contains(message.id)
        }
        if !wanting.isEmpty { output.first.append(.forward(message, to: wanting, priority)) }
    }

    /// gossipsub 1.2, "IDONTWANT Message".
    mutating func unwanted(_ ids: [GossipMessage.ID], by peer: PeerID, _ output: inout Output) {
        guard var state = peers[peer], state.understandsIDontWant, !ids.isEmpty else { return }
        let room = max(0, GossipsubLimits.unwantedPerHeartbeat - state.unwanted.count)
        state.unwanted.formUnion(ids.prefix(room))
        peers[peer] = state
        output.first.append(.withdraw(Array(ids.prefix(room)), from: peer))
    }
}

/// A message whose signature is being checked.
struct PendingMessage {
    let encoded: SharedBytes
    /// Other peers that have sent the same bytes.
    var others: OrderedSet<PeerID> = []
}
