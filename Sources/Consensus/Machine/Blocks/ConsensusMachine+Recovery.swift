import Bytes
import Chain
import Collections
import Crypto

/// A leader's inquiry before it proposes at a height at which it, or another leader, may have proposed before
/// (docs/consensus.md, "A leader without memory").
struct LeaderRecovery: Sendable {
    /// A block that was acknowledged above the tip, and may therefore have been committed.
    struct Lock: Sendable {
        var block: Hash
        var stamp: Int64
    }

    /// False for a leader that is certain to have committed nothing and only wants to save the votes for its block.
    let isRequired: Bool
    /// The newest answer of each validator.
    var answers: OrderedDictionary<PublicKey, VerifiedStatus> = [:]
    /// When all validators are asked again.
    var askAt: Duration
    var wait: Duration
    /// When a leader that needs no answers stops waiting.
    var until: Duration?
    /// The block that is being fetched.
    var fetching: Hash?
    /// When the next attempt to fetch may begin.
    var fetchAt: Duration = .zero
    /// Failed attempts to fetch a block.
    var failures: [Hash: Int] = [:]
    /// Blocks that cannot have been committed, or that no validator has.
    var dropped: Set<Hash> = []

    /// Attempts, each asking every validator, after which the leader gives a block up.
    static let attempts = 3
}

extension ConsensusMachine {
    /// The leader's questions to validators, while it asks them.
    var recovery: LeaderRecovery? { leader?.recovery }

    /// Whether this node's vote log covers every proposal that it may have made at the next height, because it reaches back
    /// before that height.
    private var hasMemory: Bool {
        guard let last = votes.last, let oldest = votes.oldestHeight else { return false }
        return oldest <= state.height && last.height <= state.height &+ 1
    }

    /// Called when this node begins to lead, and when a leader without memory reaches another height or withdraws its
    /// proposal. `refused`: blocks that too many validators refused for them to have been committed.
    mutating func considerRecovery(_ now: Duration, refused: [Hash] = []) {
        leader?.memory = .whole
        guard isLeader, state.validators.contains(where: { $0.key != key }) else { return }
        let isRequired = !hasMemory || candidate == key
        let isUnfinished = votes.last(at: state.height &+ 1).map { $0.decision != .nack } ?? false
        guard isRequired || isUnfinished else { return }
        let recovery = LeaderRecovery(
            isRequired: isRequired, askAt: now, wait: settings.resendInterval / 4,
            until: isRequired ? nil : now + settings.recoveryPatience, dropped: Set(refused))
        leader?.memory = .asking(recovery)
    }

    /// When all validators are asked again, or a leader that needs no answers stops waiting.
    var recoveryDeadline: Duration? {
        guard let recovery, !isBehind else { return nil }
        guard recovery.fetching == nil, let until = recovery.until else { return recovery.askAt }
        return min(recovery.askAt, until)
    }

    mutating func runRecovery(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard var recovery else { return }
        if let until = recovery.until, now >= until, recovery.fetching == nil {
            leader?.recovery = nil
            return
        }
        guard now >= recovery.askAt else { return }
        recovery.askAt = now + recovery.wait
        recovery.wait = min(recovery.wait * 2, settings.maximumResendInterval)
        leader?.recovery = recovery
        actions.append(.askStatus(of: state.validators.keys.filter { $0 != key }))
        decideRecovery(now, &actions)
    }

    /// A validator answered the leader's question.
    mutating func recover(
        _ status: VerifiedStatus, _ teller: PublicKey, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        leader?.recovery?.answers[teller] = status
        decideRecovery(now, &actions)
    }

    /// Once enough validators have answered, fetches the block that may have been committed, or lets the leader build.
    private mutating func decideRecovery(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard let recovery, recovery.fetching == nil, current.decision == nil, current.proposedBlock == nil
        else { return }
        if recovery.isRequired, countedAnswers(recovery) < state.validators.blocking { return }
        guard let lock = newestLock(recovery) else {
            leader?.recovery = nil
            return
        }
        stamps.told(lock.stamp)
        guard now >= recovery.fetchAt else { return }
        leader?.recovery?.fetching = lock.block
        leader?.recovery?.fetchAt = max(recovery.askAt, now)
        let holders = recovery.answers.filter { self.lock(of: $0.value)?.block == lock.block }.map(\.key)
        actions.append(.fetchLocked(height: state.height &+ 1, block: lock.block, from: holders))
    }

    /// The locked block is here: proposes it again under a new stamp, so that votes for it count as the newest.
    mutating func lockedFetched(
        _ block: CheckedBlock, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard let recovery, recovery.fetching == block.hash else { return }
        leader?.recovery?.fetching = nil
        guard mayProposeAgain, block.height == state.height &+ 1, block.header.previousHash == state.hash
        else { return }
        leader?.recovery = nil
        // A clock that was ahead gave it its time, and it was not committed: a new block gets the right time.
        let latest = BlockValidation.latestTimestamp(after: state, wallClock: wallClock)
        if !recovery.isRequired, block.header.timestamp > latest { return }
        prepareProposal(block, isAgain: true, now, &actions)
    }

    mutating func lockedFetchFailed(_ hash: Hash, _ actions: inout [ConsensusAction]) {
        guard var recovery, recovery.fetching == hash else { return }
        recovery.fetching = nil
        let failures = (recovery.failures[hash] ?? 0) + 1
        recovery.failures[hash] = failures
        if recovery.isRequired, mayDrop(hash, after: failures, recovery) {
            recovery.dropped.insert(hash)
            actions.append(
                .warn(
                    "proposing another block than the one that was acknowledged", height: state.height &+ 1,
                    block: hash, reason: "no queried peer has it"))
        }
        leader?.recovery = recovery
    }

    /// Whether too few validators can have agreed to a block to commit it, or no validator is left to ask for it.
    private func mayDrop(_ hash: Hash, after failures: Int, _ recovery: LeaderRecovery) -> Bool {
        guard let stamp = locks(recovery).first(where: { $0.block == hash })?.stamp else { return true }
        let others = recovery.answers.filter { answer in
            counts(answer.value)
                && lock(of: answer.value).map { $0.stamp < stamp && $0.block != hash } ?? true
        }.count
        if state.validators.count - others < state.validators.quorum { return true }
        // The operators have declared the leader that this one replaces gone for good.
        let all = state.validators.keys.filter { $0 != key && !(candidate == key && $0 == state.leader) }
        return failures >= LeaderRecovery.attempts && all.allSatisfy { recovery.answers[$0] != nil }
    }

    /// Whether an answer certainly covers its validator's votes above this node's tip.
    private func counts(_ status: VerifiedStatus) -> Bool {
        guard status.status.height <= state.height else { return false }
        guard status.tellsVotes else { return true }
        if candidate == key, status.status.follows != key { return false }
        // A vote log that begins at this height may be as new as this node's; before the first block every vote log
        // begins here.
        return tipCommit == nil || status.status.vote.map { $0.oldestHeight <= state.height } ?? false
    }

    private func countedAnswers(_ recovery: LeaderRecovery) -> Int {
        let own = state.validators.contains(key) && hasMemory ? 1 : 0
        return own
            + recovery.answers.filter { state.validators.contains($0.key) && counts($0.value) }.count
    }

    private func lock(of status: VerifiedStatus) -> LeaderRecovery.Lock? {
        guard let vote = status.status.vote, vote.isAck, vote.height == state.height &+ 1 else { return nil }
        return .init(block: vote.block, stamp: vote.stamp)
    }

    private func locks(_ recovery: LeaderRecovery) -> [LeaderRecovery.Lock] {
        var locks = recovery.answers.values.compactMap { lock(of: $0) }
        if let last = votes.last(at: state.height &+ 1), last.decision != .nack {
            locks.append(.init(block: last.blockHash, stamp: last.stamp))
        }
        return locks
    }

    private func newestLock(_ recovery: LeaderRecovery) -> LeaderRecovery.Lock? {
        var newest: LeaderRecovery.Lock?
        for lock in locks(recovery) where !recovery.dropped.contains(lock.block) {
            if lock.stamp > newest?.stamp ?? .min { newest = lock }
        }
        return newest
    }
}
