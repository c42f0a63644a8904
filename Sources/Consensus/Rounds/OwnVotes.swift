import Chain
import Crypto

/// This node's votes: those on its disk, and those given by this process.
struct OwnVotes: Sendable {
    /// The newest vote on disk; votes that contradict it are never cast.
    private(set) var last: Vote?
    /// The oldest height in this node's record of votes.
    private(set) var oldestHeight: Int64?
    /// The block that this node agreed to, until the height is decided; perhaps no other node has it.
    private(set) var block: CheckedBlock?
    /// The votes of this process at the next height.
    private(set) var given: [Vote] = []
    /// Whether this process has voted at a height that is committed.
    private(set) var hasVotedBelow = false

    /// Takes the content of the vote log; `block` is that of the last vote, if this node still has it.
    init(last: Vote?, oldestHeight: Int64?, block: CheckedBlock?, tip: Int64) {
        (self.last, self.oldestHeight) = (last, oldestHeight)
        if let block, block.height == tip &+ 1, block.hash == last?.blockHash { self.block = block }
    }

    /// Returns the newest vote, if it was given at `height`.
    func last(at height: Int64) -> Vote? { last.flatMap { $0.height == height ? $0 : nil } }

    /// Returns the newest vote, if it was given on `block` at `height`.
    func last(at height: Int64, on block: Hash) -> Vote? {
        last(at: height).flatMap { $0.blockHash == block ? $0 : nil }
    }

    /// Returns whether this process has given this vote at the next height.
    func hasGiven(_ decision: Vote.Decision, on block: Hash) -> Bool {
        given.contains { $0.blockHash == block && $0.decision == decision }
    }

    /// Keeps the block that this node is about to agree to.
    mutating func keep(_ block: CheckedBlock) { self.block = block }

    /// Notes a vote that is about to be recorded.
    mutating func give(_ vote: Vote) {
        last = vote
        if !given.contains(vote) { given.append(vote) }
        oldestHeight = min(oldestHeight ?? vote.height, vote.height)
    }

    /// Starts the next height.
    mutating func beginHeight() {
        if !given.isEmpty { hasVotedBelow = true }
        given = []
        block = nil
    }
}
