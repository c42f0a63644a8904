import Chain
import Crypto

/// When this process started, by the wall clock. A clock that was set forward meanwhile, as at many machines' boot, tells of a
/// later start.
struct ProcessStart: Sendable {
    /// Milliseconds since 1970.
    private(set) var time: UInt64 = 0
    /// By the clock of waits.
    private var began: Duration?

    /// Takes in what the clocks say. Returns whether it is the first time.
    mutating func note(_ now: Duration, _ wallClock: UInt64) -> Bool {
        let isFirst = began == nil
        let began = began ?? now
        self.began = began
        let elapsed = UInt64(clamping: max(.zero, now - began).components.seconds) &* 1000
        time = max(time, wallClock - min(wallClock, elapsed))
        return isFirst
    }
}

/// Whether another host votes with this node's key (docs/consensus.md, "Two hosts with one key"). Two of them can sign votes
/// that contradict each other, so a node that is sure of it stops.
///
/// Sure is an answer to this very process (`KeyWatch` in Node), and a vote that cannot be one that this host gave and forgot,
/// or one that somebody replays: about a block whose parent was made after this process had started.
extension ConsensusMachine {
    /// Whether what is voted on at the next height was made in this process' life, as far as clocks tell: its parent is
    /// newer than the start by more than clocks may differ, and this process has voted below it.
    var knowsItsVotes: Bool {
        votes.hasVotedBelow && !isSyncing
            && state.timestamp > BlockValidation.adding(start.time, BlockValidation.allowedClockSkew)
    }

    /// Whether an answer in this node's own name is worth checking its signature: it is about a block that is known here
    /// and says what this host did not say.
    public func mayBeForeign(_ answer: AckRes) -> Bool {
        guard halted == nil, answer.signature.publicKey == key, knowsItsVotes else { return false }
        if case .outOfSync = answer.answer { return false }
        return isKnownNext(answer.block)
            && !votes.hasGiven(answer.appHash.map(Vote.Decision.ack) ?? .nack, on: answer.block)
    }

    /// Whether a block is one of the next height, by the leader's signature.
    private func isKnownNext(_ block: Hash) -> Bool {
        current.proposedBlock?.hash == block || current.proposal?.hash == block
            || current.decision?.hash == block
    }

    /// An answer in this node's own name, its signature checked.
    mutating func ownVoteHeard(_ message: AckRes, _ actions: inout [ConsensusAction]) {
        guard mayBeForeign(message) else { return }
        halt(.keyUsedElsewhere(height: state.height &+ 1, block: message.block), &actions)
    }

    /// Another process with this node's key runs beside this one. What it signs need not differ yet from what is signed here.
    mutating func answeredInOwnName(_ actions: inout [ConsensusAction]) {
        guard role.name != .sentry else { return }
        halt(.keyHeldElsewhere(key), &actions)
    }

    /// Whether a commit of the next height holds a vote of this node's key that this host did not give.
    func isForeignVote(in decision: VerifiedCommit) -> Bool {
        guard knowsItsVotes, let vote = decision.info.votes.first(where: { $0.signature.publicKey == key })
        else {
            return false
        }
        let said: Vote.Decision =
            switch vote.status {
            case .agreed: .ack(appHash: decision.appHash)
            case .forked(let appHash): .ack(appHash: appHash)
            case .rejected: .nack
            }
        return !votes.hasGiven(said, on: decision.hash)
    }

    /// A validator has given two answers to one block, both signed: two hosts have its key, or it lies.
    mutating func answeredTwice(
        _ answer: VerifiedAcknowledgement, _ actions: inout [ConsensusAction]
    ) {
        guard leader?.doubted.insert(answer.voter).inserted ?? false else { return }
        actions.append(
            .warn(
                "a validator has answered one proposal in two ways", height: answer.message.height,
                block: answer.message.block,
                reason: "two hosts may be running with the key of \(answer.voter.nodeID)"))
    }
}
