import Chain
import Reactor

/// The machine's invariants after every event, whatever peers send.
extension ConsensusMachine {
    /// See `Machine`.
    public func checkInvariants() throws(BrokenInvariant) {
        try check(halted == nil || timers.deadline == nil, "a halted machine has a timer")
        try checkRole()
        try checkRounds()
        try checkLane()
        try check(heights.proven >= state.height, "less is proven than this node has committed")
        try check(!isSyncing || heights.target != nil, "the node syncs without a target")
        try check(announcing.height <= state.height, "an uncommitted block is announced")
        try check(
            votes.given.allSatisfy { $0.height == state.height &+ 1 },
            "a vote of this process is not above the tip")
        try check(votes.block?.height ?? above(1) == above(1), "the block of a vote is not the next one")
    }

    private func checkRole() throws(BrokenInvariant) {
        try check(
            role.name == rightfulRole, "the role is \(role.name), and the chain says \(rightfulRole)")
        for timer in timers.names {
            let isFitting =
                switch timer {
                case .build, .abandon, .confirm, .recovery: isLeader
                case .resend: role.name != .sentry
                case .offers: isValidator
                case .decision, .retry, .level, .clock: true
                }
            try check(isFitting, "a \(role.name) has the timer \(timer)")
        }
        if let leader {
            try check(
                timers[.abandon] == nil || current.proposedBlock != nil,
                "the leader awaits answers without a proposal")
            try check(
                current.proposedBlock != nil || leader.tally.answers.isEmpty,
                "answers are counted without a proposal")
            try check(
                leader.recovery == nil || current.proposedBlock == nil,
                "the leader proposes while it recovers")
        }
    }

    private func checkRounds() throws(BrokenInvariant) {
        for (round, height) in [(current, above(1)), (next, above(2))] {
            try check(round.decision?.height ?? height == height, "a decision of another height")
            try check(round.proposedBlock?.height ?? height == height, "a proposal of another height")
            try check(
                round.decidedBlock.map { $0.hash == round.decision?.hash } ?? true,
                "a decision with another block's commit")
            try check(
                round.offers.allSatisfy { $0.proposal.height == height }, "an offer of another height")
            if let fetch = round.decisionFetch, fetch.isProposal {
                try check(
                    round.offers.contains { $0.proposal.hash == fetch.hash },
                    "a committed block is awaited as a proposal that nobody sends")
            }
            switch round.ballot {
            case .none: break
            case .recording(let vote), .cast(let vote, _):
                try check(
                    vote.height == height && vote == votes.last, "a vote is not this node's newest")
            }
        }
        try check(
            following.isEmpty || next.decidedBlock != nil,
            "decided blocks follow a height that is not decided")
        try check(
            following.enumerated().allSatisfy {
                $1.block.height == above(3 &+ Int64($0)) && $1.block.hash == $1.commit.hash
            },
            "the blocks that follow are not those of the next heights")
        try check(!next.hasVoted, "a vote two heights above the tip")
        try check(
            isValidator || (current.offers.isEmpty && next.offers.isEmpty && current.proposal == nil),
            "a \(role.name) takes proposals")
        if isLeader, let block = current.proposedBlock {
            try check(
                block.header.previousHash == state.hash, "the leader's proposal does not follow the tip")
        }
    }

    private func checkLane() throws(BrokenInvariant) {
        try check(lane.block?.height ?? above(1) == above(1), "the lane holds a block of another height")
        if case .committing(let block, let commit) = lane {
            try check(block.hash == commit.hash, "the lane commits a block with another block's commit")
        }
        if case .committingRun(let run) = lane {
            try check(
                run.before.height == state.height && run.blocks.count <= following.count &+ 2
                    && run.blocks.last?.block.height == above(Int64(run.blocks.count)),
                "the lane commits other blocks than the next decided ones")
        }
    }

    private func above(_ step: Int64) -> Int64 { state.height &+ step }

    private func check(_ holds: Bool, _ what: @autoclosure () -> String) throws(BrokenInvariant) {
        try BrokenInvariant.check(holds, what())
    }
}
