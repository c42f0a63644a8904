import Multiformats

/// Whether a node knows anything of its network: without a peer of its chain it cannot tell whether it is behind, and does
/// not call itself healthy. A machine.
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
    /// Why the newest one of the peers that were sent away since then had to go.
    private var refused: String?

    /// So many peers of this chain are connected now.
    mutating func members(_ count: Int, now: Duration) {
        switch state {
        case _ where count > 0:
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
        let foreign = refused.map { "; the last to be connected is \($0)" } ?? ""
        switch state {
        case .connected: return nil
        case .neverMet: return "no node of this chain has been connected since the start\(foreign)"
        case .left(let since):
            guard now - since >= Self.patience else { return nil }
            return
                "no node of this chain has been connected for \((now - since).components.seconds) s\(foreign)"
        }
    }
}
