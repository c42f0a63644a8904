import Bytes
import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Consensus

/// A leader without a record of its proposals.
struct LeaderRecoveryTests {
    let chain: TestChain
    let block: CheckedBlock
    let other: CheckedBlock
    /// The chain at height 1, where a vote log can be told from a new disk.
    let tip: VerifiedCommit
    let state1: ChainState
    let block2: CheckedBlock
    let newer2: CheckedBlock

    init() throws {
        chain = try TestChain(validators: 4)
        block = try chain.block(after: chain.genesis, stamp: 1000)
        other = try chain.block(after: chain.genesis, stamp: 2000)
        tip = try chain.commit(block)
        state1 = try chain.genesis.after(block.header, hash: block.hash, commit: tip.info)
        block2 = try chain.block(after: state1, stamp: 3000)
        newer2 = try chain.block(after: state1, stamp: 4000)
    }

    func peer(_ number: Int) -> PeerID { chain.validators[number].publicKey.peerID }

    /// Returns the status of a validator at `state`.
    func status(
        at state: ChainState, vote: CheckedBlock? = nil, stamp: Int64? = nil, since: Int64 = 1,
        follows: PublicKey? = nil
    ) -> VerifiedStatus {
        let ballot =
            vote.map {
                ConsensusStatus.Ballot(
                    height: $0.height, stamp: stamp ?? $0.stamp, block: $0.hash, isAck: true,
                    oldestHeight: since)
            }
            ?? (since > state.height || state.height == 0
                ? nil
                : ConsensusStatus.Ballot(
                    height: state.height, stamp: 1, block: state.hash, isAck: true, oldestHeight: since))
        let best = state.height == 0 ? nil : tip
        return VerifiedStatus(
            verifying: ConsensusStatus(
                height: state.height, phase: .idle, best: best?.header,
                leaderSignature: best?.announcement.leaderSignature ?? SharedBytes(), vote: ballot,
                proposal: nil,
                follows: follows ?? chain.leader.publicKey, commit: nil),
            after: chain.genesis, signers: [chain.leader.publicKey])
    }

    /// A leader with a new disk, and transactions to propose.
    func wiped() -> Script {
        var script = Script(chain, as: chain.leader, recovered: false)
        script.wallClock = 9000
        #expect(script.send(.mempool(hasTransactions: true)) == ["ask 3"])
        return script
    }

    /// Returns the same leader once it has synced to height 1, without its votes.
    func wipedAtOne() -> Script {
        var script = Script(chain, as: chain.leader, state: state1, tipCommit: tip, recovered: false)
        script.wallClock = 9000
        #expect(script.send(.mempool(hasTransactions: true)) == ["ask 3"])
        return script
    }

    @Test func aNewNetworkStartsOnceEnoughAnswered() {
        var script = wiped()
        #expect(script.machine.status(of: 1).phase == .recovering)
        #expect(script.tell(status(at: chain.genesis), from: peer(1)) == [])
        #expect(script.tell(status(at: chain.genesis), from: peer(1)) == [], "counted once")
        #expect(script.tell(status(at: chain.genesis), from: chain.sentry.publicKey.peerID) == [])
        #expect(script.tell(status(at: chain.genesis), from: peer(2)) == ["build 1"])
    }

    @Test func asksAgainWithGrowingWaits() {
        var script = wiped()
        #expect(script.wait(.milliseconds(500)) == ["ask 3"])
        #expect(script.wait(.milliseconds(500)) == [])
        #expect(script.wait(.milliseconds(500)) == ["ask 3"])
        #expect(script.send(.peerReady(peer(3))) == ["ask 1"])
    }

    @Test func aLeaderAloneWaitsForNobody() throws {
        let alone = try TestChain(validators: 1)
        var script = Script(alone, as: alone.leader, recovered: false)
        #expect(script.send(.mempool(hasTransactions: true)) == ["build 1"])
    }

    @Test func catchesUpFirst() throws {
        var script = wiped()
        #expect(script.tell(status(at: state1), from: peer(1)) == ["catch up to 1"])
        #expect(script.send(.decided(tip, block)) == ["execute 1"])
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        #expect(
            script.send(.committed(block.hash)) == ["announce 1 to all", "ask 3"],
            "what was said before is about another height")
        #expect(script.tell(status(at: state1), from: peer(1)) == [])
        #expect(script.tell(status(at: state1), from: peer(2)) == ["build 2"])
    }

    @Test func aMemoryThatBeginsHereDoesNotCount() {
        var script = wipedAtOne()
        let amnesiac = status(at: state1, since: 2)
        #expect(script.tell(amnesiac, from: peer(1)) == [])
        #expect(script.tell(status(at: state1, vote: block2, since: 2), from: peer(1)) == [])
        #expect(script.tell(amnesiac, from: peer(2)) == [])
        #expect(script.machine.recovery != nil)
        #expect(script.tell(status(at: chain.genesis), from: peer(3)).contains("announce 1 to one"))
        #expect(script.machine.recovery != nil, "without a vote log, being behind proves nothing")
    }

    @Test func proposesTheLockedBlockAgain() throws {
        var script = wipedAtOne()
        _ = script.tell(status(at: state1), from: peer(1))
        #expect(
            script.tell(status(at: state1, vote: block2), from: peer(2)) == ["fetch locked 2 from 1"]
        )
        #expect(script.tell(status(at: state1), from: peer(3)) == [], "one fetch at a time")
        #expect(
            script.send(.lockedFetched(block2)) == ["propose 2 again to all", "execute 2"])
        _ = script.send(.executed(block2.hash, TestChain.result(block2)))
        #expect(script.machine.votes.last?.stamp == 9000, "its vote counts as the newest")
        #expect(script.machine.status(of: 2).proposal?.stamp == 9000)
    }

    @Test func theNewestLockCounts() throws {
        var script = wipedAtOne()
        _ = script.tell(status(at: state1, vote: newer2), from: peer(1))
        var actions = script.actions(telling: status(at: state1, vote: block2, stamp: 5000), from: peer(2))
        guard case .fetchLocked(2, let hash, let holders) = actions.removeFirst() else {
            Issue.record("no fetch")
            return
        }
        #expect(hash == block2.hash, "proposed again after the newer block was made")
        #expect(holders == [chain.validators[2].publicKey])
    }

    @Test func aLockThatNobodyHasIsDroppedWhenItCannotBeCommitted() throws {
        var script = wipedAtOne()
        _ = script.tell(status(at: state1), from: peer(1))
        _ = script.tell(status(at: state1, vote: block2), from: peer(2))
        #expect(
            script.send(.lockedFetchFailed(block2.hash)) == [], "the leader and the third may have agreed")
        #expect(script.tell(status(at: state1), from: peer(3)) == [], "not at once again")
        #expect(script.wait(.milliseconds(500)) == ["ask 3", "fetch locked 2 from 1"])
        #expect(script.send(.lockedFetchFailed(block2.hash)) == ["warn"])
        _ = script.wait(.seconds(1))
        var actions = script.actions(telling: status(at: state1), from: peer(3))
        if actions.isEmpty { actions = script.actions(.timer) }
        #expect(script.machine.recovery == nil)
        #expect(script.machine.stamps.last >= 3000, "the next stamp is newer than the lock")
    }

    @Test func aLockThatMayBeCommittedIsWaitedFor() throws {
        var script = wipedAtOne()
        _ = script.tell(status(at: state1, vote: block2), from: peer(1))
        _ = script.tell(status(at: state1, vote: block2), from: peer(2))
        for _ in 0..<10 {
            #expect(!script.send(.lockedFetchFailed(block2.hash)).contains("warn"))
            #expect(script.wait(.seconds(30)).contains("fetch locked 2 from 2"))
        }
    }

    @Test func aRestartedLeaderWithMemorySavesItsProposal() throws {
        let vote = Vote(
            height: 2, stamp: 3000, blockHash: block2.hash,
            decision: .ack(appHash: TestChain.appHash(block2)))
        var script = Script(
            chain, as: chain.leader, state: state1, tipCommit: tip, lastVote: vote, oldestVote: 1,
            recovered: false)
        #expect(script.send(.mempool(hasTransactions: true)) == ["ask 3", "fetch locked 2 from 0"])
        #expect(script.send(.lockedFetchFailed(block2.hash)) == [])
        _ = script.wait(.milliseconds(500))
        #expect(
            script.send(.lockedFetched(block2)) == ["propose 2 again to all", "execute 2"])
        var late = Script(
            chain, as: chain.leader, state: state1, tipCommit: tip, lastVote: vote, oldestVote: 1,
            recovered: false)
        _ = late.send(.mempool(hasTransactions: true))
        _ = late.send(.lockedFetchFailed(block2.hash))
        let actions = {
            late.now += .seconds(5); return late.actions(.timer)
        }()
        guard case .build(let template)? = actions.last else {
            Issue.record("it may make another: it committed nothing")
            return
        }
        #expect(template.after == 3000)
    }

    @Test func aWithdrawnBlockIsFoundAgainWithoutMemory() throws {
        var script = wipedAtOne()
        _ = script.tell(status(at: state1), from: peer(1))
        _ = script.tell(status(at: state1, vote: block2), from: peer(2))
        _ = script.send(.lockedFetched(block2))
        _ = script.send(.executed(block2.hash, TestChain.result(block2)))
        let lines = script.wait(.seconds(60))
        #expect(lines.contains("reset to 1"))
        #expect(script.machine.recovery != nil, "it may still have been committed")
    }

    /// Returns a leader that has withdrawn its block for a newer one that validators hold, and waits for the disk.
    func lockedWhileRollingBack() throws -> Script {
        var script = wipedAtOne()
        _ = script.tell(status(at: state1), from: peer(1))
        _ = script.tell(status(at: state1, vote: block2), from: peer(2))
        _ = script.send(.lockedFetched(block2))
        _ = script.send(.executed(block2.hash, TestChain.result(block2)))
        script.wallClock = 60_000
        script.reservesAtOnce = false
        for number in 1...2 {
            _ = script.tell(status(at: state1, vote: newer2, stamp: 9_500), from: peer(number))
        }
        guard case .rollingBack = script.machine.lane else { throw ConsensusError.mismatch("no roll-back") }
        #expect(script.machine.recovery != nil)
        _ = script.wait(.milliseconds(500))
        for number in 1...2 {
            _ = script.tell(status(at: state1, vote: newer2, stamp: 9_500), from: peer(number))
        }
        #expect(script.machine.recovery?.fetching == newer2.hash)
        #expect(script.send(.lockedFetched(newer2)) == ["reserve to 70000"])
        return script
    }

    @Test func aLockedBlockIsProposedThoughTheLaneIsNotIdle() throws {
        var script = try lockedWhileRollingBack()
        #expect(script.send(.stampsReserved(upTo: 70_000)) == ["propose 2 again to all"])
        #expect(script.send(.rolledBack) == ["execute 2"])
        #expect(script.machine.current.proposedBlock?.hash == newer2.hash)
    }

    @Test func aLockedBlockThatCannotBeProposedIsAskedForAnew() throws {
        var script = try lockedWhileRollingBack()
        let commit = try chain.commit(newer2, after: state1)
        _ = script.announce(commit, from: peer(1))
        _ = script.send(.stampsReserved(upTo: 70_000))
        #expect(script.machine.current.proposedBlock == nil)
        #expect(script.machine.recovery != nil)
    }

    @Test func aPromotedLeaderCountsThoseWhoFollowIt() throws {
        let successor = chain.validators[1]
        let vote = Vote(height: 1, stamp: 1000, blockHash: block.hash, decision: .nack)
        var script = Script(
            chain, as: successor, state: state1, tipCommit: tip, lastVote: vote, oldestVote: 1,
            recovered: false
        ) { $0.promotion = Promotion(leader: successor.publicKey, height: 2) }
        #expect(script.machine.role.name == .leader)
        #expect(script.send(.timer) == ["ask 3"])
        #expect(
            script.tell(status(at: state1), from: peer(2)) == [], "it may yet vote for the old one")
        let follower = status(at: state1, follows: successor.publicKey)
        let actions = script.actions(telling: follower, from: peer(3))
        guard case .build(let template)? = actions.first else {
            Issue.record("no build")
            return
        }
        #expect(template.newLeader == successor.publicKey)
        #expect(template.mayBeEmpty, "it takes office at once")
    }

    @Test func aPromotedLeaderFinishesTheOldOnesBlock() throws {
        let successor = chain.validators[1]
        let promotion = Promotion(leader: successor.publicKey, height: 2)
        let vote = Vote(
            height: 2, stamp: 3000, blockHash: block2.hash,
            decision: .ack(appHash: TestChain.appHash(block2)))
        var script = Script(
            chain, as: successor, state: state1, tipCommit: tip, lastVote: vote, oldestVote: 1,
            recovered: false
        ) { $0.promotion = promotion }
        _ = script.send(.timer)
        let follower = status(at: state1, follows: successor.publicKey)
        #expect(script.tell(follower, from: peer(2)) == ["fetch locked 2 from 0"], "its own vote")
        #expect(
            script.send(.lockedFetched(block2)) == ["propose 2 again to all", "execute 2"])

        var validator = Script(chain, as: chain.validators[2], state: state1, tipCommit: tip) {
            $0.promotion = promotion
        }
        let again = try VerifiedProposal(
            verifying: BlockProposal(block2.block, sender: successor.publicKey, stamp: 9000),
            leader: chain.leader.publicKey)
        #expect(validator.propose(again, from: peer(3)) == [], "only the new leader may propose it")
        #expect(validator.propose(again, from: peer(1)) == ["fetch proposal 2"])
        #expect(validator.send(.proposalFetched(block2, from: peer(1))) == ["execute 2"])
        #expect(validator.send(.executed(block2.hash, TestChain.result(block2))) == ["vote 2 ack"])
        #expect(validator.machine.votes.last?.stamp == 9000)
    }
}
