import Multiformats

/// Whether a node knows anything of its network: without a peer of its chain it cannot tell whether it is behind, and does
/// not call itself healthy. A machine.
///
/// What a peer lists of itself is a claim: a validator or named peer counts at once, any other once it has shown a block
/// that this node did not have. At the tip nothing can be shown, as this node itself serves all that is below.
struct Isolation {
    /// How long a node that had peers may be without any.
    static let patience = Duration.seconds(60)

    private enum State {
        /// No peer of this chain has been seen since the start.
        case neverMet
        case connected
        /// The last peer has left.
        case left(Duration)
    }

    private var state = State.neverMet
    /// Connected peers that have shown a block.
    private var proven: Set<PeerID> = []
    /// Connected peers of which nothing but their word is known.
    private var claims = 0
    /// Why the newest one of the peers that were sent away since then had to go.
    private var refused: String?

    /// A connected peer had a block of this chain before this node had it.
    mutating func proved(_ peer: PeerID) { proven.insert(peer) }

    /// A connection has ended.
    mutating func left(_ peer: PeerID) { proven.remove(peer) }

    /// Those that say that they are of this chain and are connected now; `isKnown` tells validators and named peers.
    mutating func members(_ peers: some Sequence<PeerID>, isKnown: (PeerID) -> Bool, now: Duration) {
        claims = 0
        var isConnected = false
        for peer in peers {
            if proven.contains(peer) || isKnown(peer) { isConnected = true } else { claims += 1 }
        }
        switch state {
        case _ where isConnected:
            state = .connected
            refused = nil
        case .connected: state = .left(now)
        case .neverMet, .left: break
        }
    }

    /// A peer was sent away since it is of another chain; `what` says of which.
    mutating func met(foreign what: String) { refused = what }

    /// Why the node cannot vouch for what it says; nil while it can. One that makes blocks by itself always can.
    func reason(makesBlocksAlone: Bool, now: Duration) -> String? {
        if makesBlocksAlone { return nil }
        var more = claims > 0 ? "; \(claims) connected that say so have shown no block of it" : ""
        more += refused.map { "; the last to be connected is \($0)" } ?? ""
        switch state {
        case .connected: return nil
        case .neverMet: return "no node of this chain has been connected since the start\(more)"
        case .left(let since):
            guard now - since >= Self.patience else { return nil }
            return
                "no node of this chain has been connected for \((now - since).components.seconds) s\(more)"
        }
    }
}
