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
    /// Strangers go before those that are trusted.
    func shedHeld() {
        while held > limits.bytes {
            let strangers = peers.filter { $0.value.held > Self.unasked && isTrusted?($0.key) != true }
            let candidates = strangers.isEmpty ? peers : strangers
            let most = candidates.max { ($0.value.held, $1.key) < ($1.value.held, $0.key) }
            guard let (peer, state) = most, state.held > 0 else { return }
            log.info(
                "disconnecting the peer for which the most bytes are held",
                ["peer": .of(peer), "bytes": .number(state.held), "limit": .number(limits.bytes)])
            let connections = state.connections
            report(peer, .flooding)
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

    /// A peer was slower than a limit allows. Once may be the network's fault; the second time in a row counts.
    func stalled(_ peer: PeerID) {
        if stalls.add(1, to: peer, now: Reactor.now) > 1 { report(peer, .stalling) }
    }
}
