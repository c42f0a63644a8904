import Chain
import Crypto
import Storage

/// Whether another host votes with this node's key (docs/consensus.md, "Two hosts with one key"). Two of them can sign votes
/// that contradict each other, so a node that is sure of it stops.
///
/// Sure is an answer to this very process (`KeyWatch` in Node), and a vote that cannot be one that this host gave and forgot,
/// or one that somebody replays: about a block whose parent was made after this process had started.
extension ConsensusMachine {
    /// Whether what is voted on at the next height was made in this process' life, as far as clocks tell: its parent is
    /// newer than the start by more than clocks may differ, and this process has voted below it.
    var knowsItsVotes: Bool {
        hasVotedBelow && !isSyncing
            && state.timestamp > BlockValidation.adding(startedAt, BlockValidation.allowedClockSkew)
    }

    /// Notes when this process started, by the wall clock. A clock that was set forward meanwhile, as at many machines'
    /// boot, tells of a later start.
    mutating func noteStart(_ now: Duration, _ wallClock: UInt64, _ actions: inout [ConsensusAction]) {
        if began == nil {
            began = now
            judgeTip(&actions)
        }
        let elapsed = UInt64(clamping: max(.zero, now - (began ?? now)).components.seconds) &* 1000
        startedAt = max(startedAt, wallClock - min(wallClock, elapsed))
    }

    /// Whether an answer in this node's own name is worth checking its signature: it is about a block that is known here
    /// and says what this host did not say.
    public func mayBeForeign(_ answer: AckRes) -> Bool {
        guard halted == nil, answer.signature.publicKey == key, knowsItsVotes else { return false }
        if case .outOfSync = answer.answer { return false }
        return isKnownNext(answer.block)
            && !hasCast(answer.appHash.map(Vote.Decision.ack) ?? .nack, on: answer.block)
    }

    /// Whether a block is one of the next height, by the leader's signature.
    private func isKnownNext(_ block: Hash) -> Bool {
        current.proposedBlock?.hash == block || current.proposal?.hash == block
            || current.decision?.hash == block
    }

    private func hasCast(_ decision: Vote.Decision, on block: Hash) -> Bool {
        ownVotes.contains { $0.blockHash == block && $0.decision == decision }
    }

    /// An answer in this node's own name, its signature checked.
    mutating func ownVoteHeard(_ message: AckRes, _ actions: inout [ConsensusAction]) {
        guard mayBeForeign(message) else { return }
        halt(.keyUsedElsewhere(height: state.height &+ 1, block: message.block), &actions)
    }

    /// Another process with this node's key runs beside this one. What it signs need not differ yet from what is signed here.
    mutating func answeredInOwnName(_ actions: inout [ConsensusAction]) {
        guard halted == nil, role != .sentry else { return }
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
        return !hasCast(said, on: decision.hash)
    }

    /// A validator has given two answers to one block, both signed: two hosts have its key, or it lies.
    mutating func answeredTwice(
        _ answer: VerifiedAcknowledgement, _ actions: inout [ConsensusAction]
    ) {
        guard doubted.insert(answer.voter).inserted else { return }
        actions.append(
            .warn(
                "a validator has answered one proposal in two ways", height: answer.message.height,
                block: answer.message.block,
                reason: "two hosts may be running with the key of \(answer.voter.nodeID)"))
    }
}
