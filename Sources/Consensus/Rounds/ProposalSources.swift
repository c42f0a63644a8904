import Collections
import Multiformats

/// The peers that announced proposals and did not send the blocks. A peer that did so twice lately is asked last
/// (docs/consensus.md, "When something is missing").
struct ProposalSources: Sendable {
    /// The time after which one failure is forgiven.
    static let forgiven = Duration.seconds(300)
    /// The maximum number of peers; more than a validator has neighbours.
    static let capacity = 256
    /// The number of failures from which on others are asked first.
    static let doubtful = 2

    private var letDowns = FadingCounts<PeerID>(forgiven: forgiven, capacity: capacity)

    /// Notes a failure. Returns the number of recent failures, including this one.
    mutating func letDown(by peer: PeerID, now: Duration) -> Int { letDowns.add(1, to: peer, now: now) }

    func isDoubtful(_ peer: PeerID, now: Duration) -> Bool {
        letDowns.count(of: peer, now: now) >= Self.doubtful
    }
}
