import Chain
import Crypto
import Execution

/// The lane, in which blocks are executed, rolled back and committed, one at a time. Execution fails if the block is
/// no longer wanted, if it exceeds the cost limit, which it then does on every node, or if this node's machine has
/// trouble. Trouble decides nothing; the node tries again.
extension ConsensusMachine {
    /// Takes the next step that the state allows. Blocks are executed, rolled back and committed only here.
    mutating func advance(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard halted == nil else { return }
        switch lane {
        case .executing(let block):
            stopIfUnwanted(block, &actions)
        case .stopping, .rollingBack, .committing, .committingRun:
            return
        case .idle:
            if let retryAt = current.retryAt, now < retryAt { return }
            current.retryAt = nil
            if let decision = current.decision {
                if let run = dueRun {
                    commit(run, &actions)
                } else if let block = current.decidedBlock {
                    executeDecided(block, decision, &actions)
                }
            } else if let block = current.proposedBlock {
                if current.refused != block.hash { executeProposed(block, now, &actions) }
            } else if isLeader {
                buildIfDue(now, &actions)
            }
        case .prepared(let block, let result):
            if let decision = current.decision {
                if decision.hash == block.hash {
                    commit(block, result, decision, &actions)
                } else if current.decidedBlock != nil {
                    rollBack(&actions)
                }
            } else if current.proposedBlock?.hash != block.hash {
                rollBack(&actions)
            } else {
                if !current.hasVoted { agree(block, result, &actions) }
                if halted == nil, isLeader { commitIfAgreed(block, result, now, &actions) }
                // Withdrawn just now: no other event may lead here again.
                if halted == nil, case .prepared = lane, current.proposedBlock == nil { rollBack(&actions) }
            }
        }
    }

    mutating func rollBack(_ actions: inout [ConsensusAction]) {
        lane = .rollingBack
        actions.append(.rollBack)
    }

    /// Commits a prepared block, if the result of its execution agrees with its commit info.
    mutating func commit(
        _ block: CheckedBlock, _ result: ExecutionResult, _ decision: VerifiedCommit,
        _ actions: inout [ConsensusAction]
    ) {
        do throws(ConsensusError) { try decision.check(result, of: block) } catch {
            return halt(error, &actions)
        }
        lane = .committing(block, decision)
        actions.append(.commit(block, result, decision))
    }

    mutating func executed(_ hash: Hash, _ result: ExecutionResult) {
        guard let block = runningBlock, block.hash == hash else { return }
        lane = .prepared(block, result)
        current.failures = 0
    }

    /// The block that is being executed.
    var runningBlock: CheckedBlock? {
        switch lane {
        case .executing(let block), .stopping(let block): block
        case .idle, .prepared, .rollingBack, .committing, .committingRun: nil
        }
    }

    mutating func executeDecided(
        _ block: CheckedBlock, _ decision: VerifiedCommit, _ actions: inout [ConsensusAction]
    ) {
        do {
            try BlockValidation.check(block, follows: state, wallClock: nil)
        } catch {
            return halt(error, &actions)
        }
        lane = .executing(block)
        actions.append(.execute(block))
    }

    mutating func executeProposed(
        _ block: CheckedBlock, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard mayVote(for: block.hash, stamp: current.stamp) else { return }
        if hasRefused(block.hash, stamp: current.stamp) {
            return refuse(block.hash, stamp: current.stamp, .unknown, &actions)
        }
        do {
            // The leader checked the time before it proposed, and so did a node that agreed before it was restarted.
            let isJudged = isLeader || hasAgreed(to: block.hash)
            try BlockValidation.check(block, follows: state, wallClock: isJudged ? nil : current.arrived)
            if let signer = current.signer, signer != state.signer(of: block.header) {
                throw ConsensusError.notSignedByLeader(block.hash)
            }
        } catch {
            current.retryAt = now + settings.resendInterval
            // A wrong clock proves nothing about the block's transactions.
            var answer = AckRes.Answer.invalidBlock
            if case .tooEarly? = error as? ConsensusError {
                answer = .unknown
                doubt = ClockDoubt(reason: "\(error)", time: block.header.timestamp)
            }
            return refuse(block.hash, stamp: current.stamp, answer, because: "\(error)", &actions)
        }
        lane = .executing(block)
        actions.append(.execute(block))
    }

    /// Stops the execution of a block that was withdrawn, or in whose place another was committed.
    mutating func stopIfUnwanted(_ block: CheckedBlock, _ actions: inout [ConsensusAction]) {
        let wanted = current.decision?.hash ?? current.proposedBlock?.hash
        guard wanted != block.hash else { return }
        lane = .stopping(block)
        actions.append(.stopExecution)
    }

    mutating func executionFailed(
        _ hash: Hash, _ error: ExecutionError, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard let block = runningBlock, block.hash == hash else { return }
        lane = .idle
        if case .stopped = error { return }
        if case .overBudget(let fitting) = error {
            return exceededBudget(block, fitting, error, now, &actions)
        }
        guard !error.isLasting else {
            return halt(.driver("block \(block.height) cannot be executed: \(error)"), &actions)
        }
        if isOwnProposal(hash) {
            return withdraw("this node cannot execute it now: \(error)", .ownFailure, now, &actions)
        }
        guard current.decision?.hash == hash || current.proposedBlock?.hash == hash else { return }
        tryLater(now)
        complain("a block cannot be executed now; this node goes on trying", block, "\(error)", now, &actions)
    }

    /// Warns about repeated trouble, no more than once a minute.
    mutating func complain(
        _ message: StaticString, _ block: CheckedBlock, _ reason: String, _ now: Duration,
        _ actions: inout [ConsensusAction]
    ) {
        guard now >= nextComplaint else { return }
        nextComplaint = now + Self.complaintInterval
        actions.append(.warn(message, height: block.height, block: block.hash, reason: reason))
    }

    /// Every node comes to the same result, so no node can have committed the block.
    private mutating func exceededBudget(
        _ block: CheckedBlock, _ fitting: Int, _ error: ExecutionError, _ now: Duration,
        _ actions: inout [ConsensusAction]
    ) {
        if current.decision?.hash == block.hash {
            return halt(.invalidBlock(height: block.height, reason: "\(error)"), &actions)
        }
        if isOwnProposal(block.hash) {
            return withdraw("\(error)", .overBudget(fitting: fitting), now, &actions)
        }
        guard current.proposedBlock?.hash == block.hash else { return }
        tryLater(now)
        refuse(block.hash, stamp: current.stamp, .invalidBlock, because: "\(error)", &actions)
    }

    /// When the current block is executed again, if nothing else holds it up.
    var retryDeadline: Duration? {
        guard case .idle = lane else { return nil }
        let isWaiting =
            current.decision != nil
            ? current.decidedBlock != nil
            : current.proposedBlock.map { $0.hash != current.refused } ?? false
        return isWaiting ? current.retryAt : nil
    }

    private func isOwnProposal(_ hash: Hash) -> Bool {
        isLeader && current.decision == nil && current.proposedBlock?.hash == hash
    }

    /// Executes the current block again after a wait, longer each time.
    private mutating func tryLater(_ now: Duration) {
        let wait = settings.resendInterval * (1 << min(current.failures, 6))
        current.retryAt = now + min(wait, settings.maximumResendInterval)
        current.failures += 1
    }

    /// The time between two warnings about such trouble.
    private static var complaintInterval: Duration { .seconds(60) }
}
