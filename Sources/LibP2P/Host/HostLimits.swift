import Log
import Multiformats
import Reactor

/// What peers may make the host hold and do, and what follows when they go beyond it.
extension Host {
    /// Bytes that a peer may have sent on one stream before anybody has asked for more: no reason to disconnect it.
    private static let unasked = YamuxLimits.initialWindow

    /// What peers make this host spend at the moment, and what it spends at most.
    package var use: (connections: Int, held: Int, limits: ResourceLimits) { (connectionCount, held, limits) }

    /// Sets how many bytes may be held for one peer, and for all, from now on: the chain decides what is large.
    public func setByteLimits(perPeer: Int, total: Int) {
        limits.bytesPerPeer = perPeer
        limits.bytes = total
    }

    /// Ends the connections of the peer with the most bytes held while there are too many of all peers together.
    /// Strangers that have sent much unasked go before others; for what this host has asked for nobody is blamed.
    func shedHeld() {
        while held > limits.bytes {
            let unasked = peers.mapValues(\.unaskedBytes)
            let strangers = unasked.filter { $0.value > Self.unasked && isTrusted?($0.key) != true }
            let candidates = strangers.isEmpty ? peers.mapValues(\.held) : strangers
            let most = candidates.max { ($0.value, $1.key) < ($1.value, $0.key) }
            guard let (peer, bytes) = most, bytes > 0, let state = peers[peer] else { return }
            log.info(
                "disconnecting the peer for which the most bytes are held",
                ["peer": .of(peer), "bytes": .number(bytes), "limit": .number(limits.bytes)])
            let connections = state.connections
            if unasked[peer, default: 0] > Self.unasked { report(peer, .flooding) }
            for connection in connections {
                connection.fail(.limitReached("bytes held for all peers"))
            }
        }
    }

    /// Gives up a peer that has gone on sending what costs more to take than to send.
    func endFlood(of peer: PeerID) {
        guard let state = peers[peer] else { return }
        log.info(
            "disconnecting a peer that floods",
            ["peer": .of(peer), "reason": .text("messages without content")])
        let connections = state.connections
        report(peer, .flooding)
        for connection in connections { connection.close(for: .limitReached("messages without content")) }
    }

    /// What a peer was too slow at.
    enum Stall: Hashable {
        /// Bringing the rest of what it had begun to send.
        case sending
        /// Taking what was sent to it.
        case reading
    }

    /// A peer was slower than a limit allows. Once may be the network's fault; the second time in ten minutes counts.
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
    /// Bytes held that the peer has sent on streams of its own.
    var unaskedBytes: Int { connections.reduce(0) { $0 &+ $1.unaskedBytes } }
}

extension Connection {
    /// Bytes held of streams that the peer has opened.
    var unaskedBytes: Int {
        streams.reduce(0) { sum, stream in
            guard let stream, stream.isInbound else { return sum }
            return sum &+ stream.queue.count &+ stream.gathered
        }
    }
}
