import Chain
import Crypto

/// The start of this process by the wall clock. If the clock was set forward since, as happens while a machine boots,
/// the start counts as later.
struct ProcessStart: Sendable {
    /// Milliseconds since 1970.
    private(set) var time: UInt64 = 0
    /// The start by the reactor's clock.
    private var began: Duration?

    /// Notes the current time by both clocks. Returns whether this is the first time.
    mutating func note(_ now: Duration, _ wallClock: UInt64) -> Bool {
        let isFirst = began == nil
        let began = began ?? now
        self.began = began
        let elapsed = UInt64(clamping: max(.zero, now - began).components.seconds) &* 1000
        time = max(time, wallClock - min(wallClock, elapsed))
        return isFirst
    }
}

/// Detects another host that votes with this node's key (docs/consensus.md, "Two hosts with one key"). Two such hosts
/// can sign votes that contradict each other, so a node stops when it is certain of that.
///
/// Two observations make it certain: an answer to this very process (`KeyWatch` in Node), and a vote that this host
/// cannot have given and forgotten and that nobody can have replayed, because its block's parent is newer than this
/// process.
extension ConsensusMachine {
    /// Whether the next block's parent is newer than this process, by more than clocks may differ, and this process has voted
    /// before.
    var knowsItsVotes: Bool {
        votes.hasVotedBelow && !isSyncing
            && state.timestamp > BlockValidation.adding(start.time, BlockValidation.allowedClockSkew)
    }

    /// Returns whether the signature of an answer in this node's name is worth checking: the answer is about a block
    /// that this node has, and this host did not give it.
    public func mayBeForeign(_ answer: AckRes) -> Bool {
        guard halted == nil, answer.signature.publicKey == key, knowsItsVotes else { return false }
        if case .outOfSync = answer.answer { return false }
        return isKnownNext(answer.block)
            && !votes.hasGiven(answer.appHash.map(Vote.Decision.ack) ?? .nack, on: answer.block)
    }

    /// Returns whether the leader has signed a block as that of the next height.
    private func isKnownNext(_ block: Hash) -> Bool {
        current.proposedBlock?.hash == block || current.proposal?.hash == block
            || current.decision?.hash == block
    }

    /// Handles an answer in this node's name with a valid signature.
    mutating func ownVoteHeard(_ message: AckRes, _ actions: inout [ConsensusAction]) {
        guard mayBeForeign(message) else { return }
        halt(.keyUsedElsewhere(height: state.height &+ 1, block: message.block), &actions)
    }

    /// Handles proof that another process with this node's key is running, even if their votes have not differed yet.
    mutating func answeredInOwnName(_ actions: inout [ConsensusAction]) {
        guard role.name != .sentry else { return }
        halt(.keyHeldElsewhere(key), &actions)
    }

    /// Returns whether a commit of the next height contains a vote with this node's key that this host did not give.
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

    /// Warns of a validator that has signed two different answers to one block: two hosts have its key, or it lies.
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
