import Bytes
import Chain
import Collections
import Crypto

/// What a leader learns before it proposes at a height that it may have proposed at before, or that another led
/// (docs/consensus.md, "A leader without memory").
struct LeaderRecovery: Sendable {
    /// A block that was acknowledged above the tip, and may therefore have been committed.
    struct Lock: Sendable {
        var block: Hash
        var stamp: Int64
    }

    /// False for a leader that knows it committed nothing, and only saves the votes that its block has.
    let isRequired: Bool
    /// The newest answer of each validator.
    var answers: OrderedDictionary<PublicKey, VerifiedStatus> = [:]
    /// When everybody is asked again.
    var askAt: Duration
    var wait: Duration
    /// When a leader that needs no answers waits no longer.
    var until: Duration?
    /// The block that is being fetched.
    var fetching: Hash?
    /// When the next attempt to fetch may begin.
    var fetchAt: Duration = .zero
    /// Attempts that found a block nowhere.
    var failures: [Hash: Int] = [:]
    /// Blocks that cannot have been committed, or that nobody has.
    var dropped: Set<Hash> = []

    /// Attempts after which a block that no validator has, all of them asked, is given up.
    static let attempts = 3
}

extension ConsensusMachine {
    /// Not nil while this node leads and asks what it may propose.
    var recovery: LeaderRecovery? { leader?.recovery }

    /// Whether this node's own votes tell of every proposal that it may have made at the next height: they do when
    /// they reach back before it.
    private var hasMemory: Bool {
        guard let last = votes.last, let oldest = votes.oldestHeight else { return false }
        return oldest <= state.height && last.height <= state.height &+ 1
    }

    /// Called when this node begins to lead, and when a leader without memory comes to another height or withdraws
    /// its proposal. `refused`: blocks that too many refused for them to have been committed.
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

    /// When everybody is asked again, or a leader that needs no answers waits no longer.
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

    /// A validator's answer to a leader that asks.
    mutating func recover(
        _ status: VerifiedStatus, _ teller: PublicKey, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        leader?.recovery?.answers[teller] = status
        decideRecovery(now, &actions)
    }

    /// Proposes again what may have been committed, or lets the leader build, once enough validators have answered.
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

    /// The locked block is here: the same block again, under a new stamp, so that votes for it count as the newest.
    mutating func lockedFetched(
        _ block: CheckedBlock, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard let recovery, recovery.fetching == block.hash else { return }
        leader?.recovery?.fetching = nil
        guard mayProposeAgain, block.height == state.height &+ 1, block.header.previousHash == state.hash
        else { return }
        leader?.recovery = nil
        // It was made by a clock that was ahead, and is committed nowhere: a new block has the right time.
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
                    block: hash, reason: "nobody has it"))
        }
        leader?.recovery = recovery
    }

    /// Whether too few validators can have agreed to a block for a commit, or nobody is left to ask.
    private func mayDrop(_ hash: Hash, after failures: Int, _ recovery: LeaderRecovery) -> Bool {
        guard let stamp = locks(recovery).first(where: { $0.block == hash })?.stamp else { return true }
        let others = recovery.answers.filter { answer in
            counts(answer.value)
                && lock(of: answer.value).map { $0.stamp < stamp && $0.block != hash } ?? true
        }.count
        if state.validators.count - others < state.validators.quorum { return true }
        // The leader that this one replaces is gone for good, its operators say.
        let all = state.validators.keys.filter { $0 != key && !(candidate == key && $0 == state.leader) }
        return failures >= LeaderRecovery.attempts && all.allSatisfy { recovery.answers[$0] != nil }
    }

    /// Whether an answer tells for certain what its validator voted for above this node's tip.
    private func counts(_ status: VerifiedStatus) -> Bool {
        guard status.status.height <= state.height else { return false }
        guard status.tellsVotes else { return true }
        if candidate == key, status.status.follows != key { return false }
        // A memory that begins here may be as new as ours; before the first block everybody's does.
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
