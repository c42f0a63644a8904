import Multiformats

/// Whether a node is cut off from its network: without a peer of its chain it cannot tell whether it lags, and does not
/// report itself healthy. A machine.
///
/// What a peer advertises is a claim: a validator or named peer counts at once, any other once it has sent or announced
/// a block that this node lacked. At the tip no peer can, since this node has all blocks.
struct Isolation {
    /// How long a node that had peers may be without one.
    static let patience = Duration.seconds(60)

    private enum State {
        /// No peer of this chain has connected since the start.
        case neverMet
        case connected
        /// The last peer has left.
        case left(Duration)
    }

    private var state = State.neverMet
    /// Connected peers that have sent or announced a block that this node lacked.
    private var proven: Set<PeerID> = []
    /// The number of connected peers that only claim to be of this chain.
    private var claims = 0
    /// Which chain the latest foreign peer belonged to; nil once a peer of this chain is connected.
    private var refused: String?

    /// Notes that a connected peer sent or announced a block of this chain that this node lacked.
    mutating func proved(_ peer: PeerID) { proven.insert(peer) }

    /// Notes that a peer's connection has ended.
    mutating func left(_ peer: PeerID) { proven.remove(peer) }

    /// Notes the connected peers that claim to be of this chain. `isKnown` returns true for validators and named peers.
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

    /// Notes that a peer of another chain connected; `what` reads on after "is".
    mutating func met(foreign what: String) { refused = what }

    /// Returns why the node cannot tell whether it lags; nil while it can. A node that makes blocks alone always can.
    func reason(makesBlocksAlone: Bool, now: Duration) -> String? {
        if makesBlocksAlone { return nil }
        var more =
            claims > 0 ? "; connected peers that claim to be of it but have shown no block: \(claims)" : ""
        more += refused.map { "; the last peer that connected is \($0)" } ?? ""
        switch state {
        case .connected: return nil
        case .neverMet: return "no peer of this chain has been connected since the start\(more)"
        case .left(let since):
            guard now - since >= Self.patience else { return nil }
            return
                "no peer of this chain has been connected for \((now - since).components.seconds) s\(more)"
        }
    }
}
