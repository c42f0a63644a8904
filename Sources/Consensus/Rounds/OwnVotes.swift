import Chain
import Crypto

/// The votes of this node: those on its disk, and those that this process has given.
struct OwnVotes: Sendable {
    /// The newest vote on disk; votes that contradict it are never cast.
    private(set) var last: Vote?
    /// The oldest height that this node remembers a vote of.
    private(set) var oldestHeight: Int64?
    /// The block that this node agreed to, as long as nobody decided: it may be the only one to have it.
    private(set) var block: CheckedBlock?
    /// The votes of this process on blocks of the next height.
    private(set) var given: [Vote] = []
    /// Whether this process has voted at a height that is committed.
    private(set) var hasVotedBelow = false

    /// What the vote log holds; `block` is the last vote's, if it is at hand and not decided.
    init(last: Vote?, oldestHeight: Int64?, block: CheckedBlock?, tip: Int64) {
        (self.last, self.oldestHeight) = (last, oldestHeight)
        if let block, block.height == tip &+ 1, block.hash == last?.blockHash { self.block = block }
    }

    /// The newest vote if it is one at `height`.
    func last(at height: Int64) -> Vote? { last.flatMap { $0.height == height ? $0 : nil } }

    /// The newest vote if it is one on this block at `height`.
    func last(at height: Int64, on block: Hash) -> Vote? {
        last(at: height).flatMap { $0.blockHash == block ? $0 : nil }
    }

    /// Whether this process has said this about a block of the next height.
    func hasGiven(_ decision: Vote.Decision, on block: Hash) -> Bool {
        given.contains { $0.blockHash == block && $0.decision == decision }
    }

    /// The block that an agreement is about to be given to.
    mutating func keep(_ block: CheckedBlock) { self.block = block }

    /// A vote is on its way to the disk.
    mutating func give(_ vote: Vote) {
        last = vote
        if !given.contains(vote) { given.append(vote) }
        oldestHeight = min(oldestHeight ?? vote.height, vote.height)
    }

    /// The height that was voted on is decided.
    mutating func beginHeight() {
        if !given.isEmpty { hasVotedBelow = true }
        given = []
        block = nil
    }
}
