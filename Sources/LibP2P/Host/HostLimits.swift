import Log
import Multiformats
import Reactor

/// Limits on what peers can make the host hold and do, and the consequences of exceeding them.
extension Host {
    /// The number of bytes that a peer may send on a stream without being asked: holding them is no reason to
    /// disconnect it.
    private static let unasked = YamuxLimits.initialWindow

    /// What peers make this host spend now, and its limits.
    package var use: (connections: Int, inbound: Int, held: Int, limits: ResourceLimits) {
        (connectionCount, inboundCount, held, limits)
    }

    /// Sets how many bytes may be held for one peer and for all from now on, because they depend on the chain's
    /// parameters.
    public func setByteLimits(perPeer: Int, total: Int) {
        limits.bytesPerPeer = perPeer
        limits.bytes = total
    }

    /// Sets how many connections there may be from now on, of either kind.
    package func setConnectionLimits(_ connections: Int, inbound: Int) {
        limits.connections = connections
        limits.inboundConnections = inbound
    }

    /// Disconnects peers with the most bytes held until the bytes of all peers are within the limit. Untrusted peers
    /// that have sent much unasked go first; no peer is blamed for bytes that this host requested.
    func shedHeld() {
        while held > limits.bytes {
            let unasked = peers.mapValues(\.unaskedBytes)
            let strangers = unasked.filter {
                $0.value > Self.unasked && configuration.connectionGater?.isTrusted($0.key) != true
            }
            let candidates = strangers.isEmpty ? peers.mapValues(\.held) : strangers
            let most = candidates.max { ($0.value, $1.key) < ($1.value, $0.key) }
            guard let (peer, bytes) = most, bytes > 0, let state = peers[peer] else { return }
            log.info(
                "disconnecting the peer with the most bytes held",
                ["peer": .of(peer), "bytes": .number(bytes), "limit": .number(limits.bytes)])
            let connections = state.connections
            if unasked[peer, default: 0] > Self.unasked { report(peer, .flooding) }
            for connection in connections {
                connection.fail(.limitReached("bytes held for all peers"))
            }
        }
    }

    /// Disconnects a peer that keeps sending messages that cost more to handle than to send.
    func endFlood(of peer: PeerID) {
        guard let state = peers[peer] else { return }
        log.info(
            "disconnecting a peer that floods",
            ["peer": .of(peer), "reason": .text("messages without content")])
        let connections = state.connections
        report(peer, .flooding)
        for connection in connections { connection.close(for: .limitReached("messages without content")) }
    }

    /// What a peer did too slowly.
    enum Stall: Hashable {
        /// Sending the rest of what it had begun.
        case sending
        /// Reading what was sent to it.
        case reading
    }

    /// Notes that a peer was slower than a limit allows. The first time may be the network's fault; the second in ten
    /// minutes is reported.
    func stalled(_ peer: PeerID, _ what: Stall) {
        let now = Reactor.now
        let times =
            switch what {
            case .sending: sendingStalls.add(1, to: peer, now: now)
            case .reading: readingStalls.add(1, to: peer, now: now)
            }
        if times > 1 { report(peer, .stalling) }
    }
}

extension PeerState {
    /// The number of bytes held from streams that the peer opened.
    var unaskedBytes: Int { connections.reduce(0) { $0 &+ $1.unaskedBytes } }
}

extension Connection {
    /// The number of bytes held from streams that the peer opened.
    var unaskedBytes: Int {
        streams.reduce(0) { sum, stream in
            guard let stream, stream.isInbound else { return sum }
            return sum &+ stream.queue.count &+ stream.gathered
        }
    }
}
