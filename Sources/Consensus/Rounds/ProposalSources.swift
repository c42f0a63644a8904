import Collections
import Multiformats

/// From whom proposed blocks are taken (docs/consensus.md, "A height"): from whoever announces one first, from another as
/// well when that is slow, and last from whoever let this node down twice lately.
struct ProposalSources: Sendable {
    /// After so long one let-down is forgiven.
    static let forgiven = Duration.seconds(300)
    /// Peers that are remembered; more than a validator has as neighbours.
    static let capacity = 256
    /// Let-downs from which on others are asked first.
    static let doubtful = 2

    private var letDowns = FadingCounts<PeerID>(forgiven: forgiven, capacity: capacity)

    /// Returns how often it did so lately, this time included.
    mutating func letDown(by peer: PeerID, now: Duration) -> Int { letDowns.add(1, to: peer, now: now) }

    func isDoubtful(_ peer: PeerID, now: Duration) -> Bool {
        letDowns.count(of: peer, now: now) >= Self.doubtful
    }
}
