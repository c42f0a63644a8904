import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Consensus

/// Clocks that are wrong, stop or go back.
struct TimeTests {
    let chain: TestChain
    /// The time of a correct clock, and of one that is 30 days ahead, in ms since 1970.
    let right: UInt64 = 1_700_000_000_000
    let ahead: UInt64 = 1_700_000_000_000 + 2_592_000_000

    init() throws { chain = try TestChain(validators: 4) }

    var peer: PeerID { chain.leader.publicKey.peerID }

    /// Returns a leader whose clock is ahead and whose proposal is executed and voted for.
    func leaderAhead(_ block: CheckedBlock) -> Script {
        var script = Script(chain, as: chain.leader)
        script.wallClock = ahead
        #expect(script.send(.mempool(hasTransactions: true)) == ["build 1"])
        #expect(script.send(.built(block)) == ["propose 1 to all", "execute 1"])
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        _ = script.agreed(block)
        return script
    }

    func nack(_ block: CheckedBlock, _ number: Int, _ answer: AckRes.Answer) throws -> ConsensusEvent {
        let message = AckRes(height: 1, block: block.hash, answer: answer, by: chain.validators[number])
        return .acknowledged(try chain.verified(message), from: peer)
    }

    /// Returns the template of the build in the actions.
    func template(_ actions: [ConsensusAction]) throws -> BlockTemplate {
        for case .build(let template) in actions { return template }
        throw ConsensusError.mismatch("no build")
    }

    @Test func whatIsRefusedForItsTimeIsProposedAgainWithTheRightTime() throws {
        let block = try chain.block(after: chain.genesis, stamp: ahead, transactions: [chain.transaction(1)])
        var script = leaderAhead(block)
        _ = script.send(try nack(block, 1, .unknown))
        #expect(
            script.send(try nack(block, 2, .unknown)) == ["warn", "reset to 0", "roll back"],
            "no transaction is dropped for a wrong clock")
        #expect(script.send(.rolledBack) == [])
        script.wallClock = right
        script.now += .seconds(4)
        let template = try template(script.actions(.timer))
        #expect(template.transactionLimit == .max)
        #expect(template.timestamp(at: right) == right)
        let again = try chain.block(after: chain.genesis, stamp: right)
        let actions = script.actions(.built(again))
        guard case .propose(_, let stamp, _)? = actions.first else {
            Issue.record("not proposed")
            return
        }
        #expect(stamp == Int64(ahead) + 1, "newer than all before it at this height")
    }

    @Test func aRefusalOfTheContentDropsEvenIfOneSaysNothing() throws {
        let block = try chain.block(after: chain.genesis, stamp: ahead, transactions: [chain.transaction(1)])
        var script = leaderAhead(block)
        _ = script.send(try nack(block, 1, .invalidBlock))
        _ = script.send(try nack(block, 2, .invalidBlock))
        #expect(script.machine.current.proposedBlock == nil)
        var other = leaderAhead(block)
        _ = other.send(try nack(block, 1, .invalidBlock))
        #expect(other.send(try nack(block, 2, .unknown)) == ["warn", "reset to 0", "roll back"])
    }

    @Test func aClockThatIsSetBackWithdrawsWhatItMade() throws {
        let block = try chain.block(after: chain.genesis, stamp: ahead)
        var script = leaderAhead(block)
        #expect(script.send(.timer) == [])
        script.wallClock = right
        #expect(script.send(.timer) == ["warn", "reset to 0", "roll back"])
        #expect(script.send(.rolledBack) == [])
        #expect(
            script.wait(.milliseconds(100)) == ["build 1"],
            "at once, because the next block has the right time")
    }

    @Test func theLeaderProposesNothingThatItsOwnClockRefuses() throws {
        var script = Script(chain, as: chain.leader)
        script.wallClock = right
        #expect(script.send(.mempool(hasTransactions: true)) == ["build 1"])
        let early = try chain.block(after: chain.genesis, stamp: right + 61_000)
        #expect(script.send(.built(early)) == ["warn"])
        #expect(script.machine.current.proposedBlock == nil)
    }

    @Test func stampsEndWithTheirHeight() throws {
        let block = try chain.block(after: chain.genesis, stamp: right)
        let state = try chain.genesis.after(block.header, hash: block.hash, commit: chain.commit(block).info)
        let vote = Vote(height: 1, stamp: Int64(ahead), blockHash: block.hash, decision: .nack)
        let script = Script(chain, as: chain.leader, state: state, lastVote: vote)
        #expect(script.machine.stamps.last == 0)
    }

    @Test func aBlockFarAheadDoesNotStopTheChain() throws {
        let block = try chain.block(after: chain.genesis, stamp: ahead)
        let commit = try chain.commit(block)
        let state = try chain.genesis.after(block.header, hash: block.hash, commit: commit.info)
        var script = Script(chain, as: chain.leader, state: state, tipCommit: commit)
        script.wallClock = right
        let template = try template(script.actions(.mempool(hasTransactions: true)))
        #expect(template.timestamp(at: right) == ahead + 1)
        for (step, isTaken) in [(0, true), (1, true), (1_000, true), (1_001, false)] {
            let next = try chain.block(after: state, stamp: ahead + UInt64(step))
            let isRefused =
                (try? BlockValidation.check(next, follows: state, wallClock: right)) == nil
            #expect(isRefused != isTaken, "\(step) ms after it")
        }
    }

    @Test func timesAreNeverTooLargeToCompare() throws {
        for clock in [0, UInt64.max - 1, UInt64.max] {
            #expect(BlockValidation.latestTimestamp(after: chain.genesis, wallClock: clock) >= clock)
        }
        var stamps = ProposalStamps(reserved: 0, voted: .max)
        #expect(stamps.next(notBefore: 5) == .max)
        stamps.beginHeight()
        #expect(stamps.next(notBefore: 5) == 5)
        #expect(stamps.reservation(for: .max) == .max)
    }

    @Test func stampsAreReservedBeforeTheyAreUsed() throws {
        var script = Script(chain, as: chain.leader)
        script.reservesAtOnce = false
        script.wallClock = right
        let block = try chain.block(after: chain.genesis, stamp: right)
        _ = script.send(.mempool(hasTransactions: true))
        #expect(script.send(.built(block)) == ["reserve to \(right + 10_000)"])
        #expect(script.send(.mempool(hasTransactions: true)) == [], "one proposal at a time")
        #expect(
            script.send(.stampsReserved(upTo: Int64(right) + 10_000)) == ["propose 1 to all", "execute 1"])
    }

    @Test func aRestartedLeaderBeginsAboveWhatItMayHaveUsed() throws {
        var script = Script(chain, as: chain.leader, reservedStamp: Int64(right) + 10_000)
        script.wallClock = right
        let template = try template(script.actions(.mempool(hasTransactions: true)))
        #expect(template.timestamp(at: right) == right + 10_001, "its time, too, as long as others take it")
        #expect(template.timestamp(at: right - 60_000) == right - 60_000)
    }

    @Test func reservationsOfAWrongClockAreTakenBackAtTheNextHeight() {
        var stamps = ProposalStamps(reserved: 5_000_000, voted: 0)
        #expect(stamps.next(notBefore: 1_000) == 5_000_001)
        #expect(stamps.reservation(for: 4_000_000) == nil, "an earlier process may have used it")
        stamps.beginHeight()
        #expect(stamps.next(notBefore: 1_000) == 1_000)
        #expect(stamps.reservation(for: 1_000) == 11_000)
        stamps.reserve(upTo: 11_000)
        #expect(stamps.reservation(for: 1_001) == nil, "no write for each")
        #expect(stamps.reservation(for: 11_001) == 21_001)
    }

    @Test func whatIsToldLeavesRoomForNewerStamps() {
        var stamps = ProposalStamps(reserved: 0, voted: 0)
        for told in [.max, .max - 1, 1 << 62] as [Int64] {
            stamps.told(told)
            #expect(stamps.next(notBefore: 7) == 7)
        }
        stamps.told(1 << 61)
        #expect(stamps.next(notBefore: 7) == 1 << 61 + 1)
    }

    // MARK: Validators

    func validator(_ clock: UInt64, lastVote: Vote? = nil) -> Script {
        var script = Script(chain, as: chain.validators[1], lastVote: lastVote)
        script.wallClock = clock
        return script
    }

    @Test func aValidatorRefusesATimeAheadWithoutCallingTheBlockInvalid() throws {
        var script = validator(right)
        let block = try chain.block(after: chain.genesis, stamp: ahead)
        _ = script.propose(try chain.proposal(block), from: peer)
        #expect(
            script.send(.proposalFetched(block, from: peer)) == ["relay 1", "warn", "vote 1 unknown"])
        let vote = Vote(height: 1, stamp: block.stamp, blockHash: block.hash, decision: .nack)
        #expect(script.recorded(vote, .unknown) == ["send 1 unknown"])
        // The next proposal has the right time and a newer stamp than its time.
        let again = try chain.block(after: chain.genesis, stamp: right)
        let proposal = try VerifiedProposal(
            verifying: BlockProposal(again.block, sender: chain.leader.publicKey, stamp: block.stamp + 1),
            leader: chain.leader.publicKey)
        #expect(script.propose(proposal, from: peer) == ["fetch proposal 1"])
        #expect(script.send(.proposalFetched(again, from: peer)) == ["relay 1 again", "execute 1"])
    }

    /// Returns the leader's new proposal as relayed by another validator.
    func passedOn(_ block: CheckedBlock, stamp: Int64) throws -> VerifiedProposal {
        try VerifiedProposal(
            verifying: BlockProposal(block.block, sender: chain.validators[2].publicKey, stamp: stamp),
            leader: chain.leader.publicKey)
    }

    func told(_ block: CheckedBlock, _ stamp: Int64, height: Int64 = 1) throws -> ConsensusEvent {
        let leader = chain.leader.publicKey
        return .stampTold(
            try LeaderMessage(
                ProposalStamp(height: height, block: block.hash, stamp: stamp), author: leader, leader: leader
            ))
    }

    @Test(arguments: [true, false]) func theLeadersWordMakesAPassedOnStampCount(isToldFirst: Bool) throws {
        let early = try chain.block(after: chain.genesis, stamp: ahead)
        let vote = Vote(height: 1, stamp: early.stamp, blockHash: early.hash, decision: .nack)
        var script = validator(right, lastVote: vote)
        let other = chain.validators[2].publicKey.peerID
        let block = try chain.block(after: chain.genesis, stamp: right)
        let stamp = early.stamp + 1
        #expect(script.propose(try chain.proposal(block), from: other) == [], "an older stamp")
        if isToldFirst { #expect(script.send(try told(block, stamp)) == []) }
        #expect(
            script.propose(try passedOn(block, stamp: stamp), from: other) == ["fetch proposal 1"])
        let lines = script.send(.proposalFetched(block, from: other))
        if isToldFirst {
            #expect(lines == ["relay 1 again", "execute 1"])
        } else {
            #expect(lines == [], "a validator may lie")
            #expect(
                script.propose(try passedOn(block, stamp: stamp), from: other) == [], "the block is here")
            #expect(script.send(try told(block, stamp, height: 2)) == [])
            #expect(script.send(try told(early, stamp)) == [])
            #expect(script.send(try told(block, stamp + 1)) == ["relay 1 again", "execute 1"])
        }
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        #expect(script.machine.votes.last?.stamp == (isToldFirst ? stamp : stamp + 1))
    }

    @Test(arguments: [true, false]) func whatIsPassedOnIsNotFetchedFromTheLeaderAsWell(isHere: Bool) throws {
        var script = validator(right)
        let other = chain.validators[2].publicKey.peerID
        let block = try chain.block(after: chain.genesis, stamp: right)
        let again = try passedOn(block, stamp: block.stamp + 5)
        #expect(script.propose(again, from: other) == ["fetch proposal 1"])
        if isHere {
            #expect(script.send(.proposalFetched(block, from: other)) == [])
            #expect(script.propose(again, from: peer) == ["relay 1 again", "execute 1"])
        } else {
            #expect(script.propose(again, from: peer) == [])
            #expect(
                script.send(.proposalFetched(block, from: other)) == ["relay 1 again", "execute 1"],
                "the leader has said the same")
        }
        #expect(script.machine.current.stamp == block.stamp + 5)
    }

    @Test func aVoteIsGivenAnewWhenTheLeaderTellsOfANewerStamp() throws {
        var script = validator(right)
        let block = try chain.block(after: chain.genesis, stamp: right)
        _ = script.propose(try chain.proposal(block), from: peer)
        _ = script.send(.proposalFetched(block, from: peer))
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        _ = script.agreed(block)
        #expect(script.send(try told(block, block.stamp)) == [])
        #expect(script.send(try told(block, block.stamp + 7)) == ["vote 1 ack"])
        #expect(script.machine.votes.last?.stamp == block.stamp + 7)
        #expect(throws: ConsensusError.self) {
            try LeaderMessage(
                ProposalStamp(height: 1, block: block.hash, stamp: .max),
                author: chain.validators[2].publicKey, leader: chain.leader.publicKey)
        }
    }

    // MARK: Doubts about a clock

    @Test func aClockThatIsSetRightIsDoubtedNoMore() throws {
        let block = try chain.block(after: chain.genesis, stamp: right)
        let commit = try chain.commit(block)
        let state = try chain.genesis.after(block.header, hash: block.hash, commit: commit.info)
        var script = Script(chain, as: chain.sentry, state: state, tipCommit: commit)
        script.wallClock = 0
        #expect(script.send(.timer) == ["warn"])
        #expect(script.machine.view.clockDoubt != nil)
        #expect(script.wait(.seconds(1)) == [], "once")
        #expect(script.machine.view.clockDoubt != nil)
        script.wallClock = right
        #expect(script.machine.deadline == script.now + .seconds(1), "nothing else may happen for long")
        #expect(script.wait(.seconds(1)) == [])
        #expect(script.machine.view.clockDoubt == nil)
        #expect(script.machine.deadline == nil)
    }

    @Test func aRefusalForItsTimeIsNoDoubtForEver() throws {
        var script = validator(right)
        let block = try chain.block(after: chain.genesis, stamp: ahead)
        _ = script.propose(try chain.proposal(block), from: peer)
        _ = script.send(.proposalFetched(block, from: peer))
        #expect(script.machine.view.clockDoubt != nil)
        script.wallClock = ahead
        _ = script.wait(.seconds(1))
        #expect(script.machine.view.clockDoubt == nil)
    }

    @Test func aRefusalOutlivesARestart() throws {
        let block = try chain.block(after: chain.genesis, stamp: right)
        let vote = Vote(height: 1, stamp: block.stamp, blockHash: block.hash, decision: .nack)
        var script = validator(right, lastVote: vote)
        let other = chain.validators[2].publicKey.peerID
        let proposal = try chain.proposal(block)
        #expect(script.propose(proposal, from: other) == [], "only the leader gets an answer")
        #expect(script.propose(proposal, from: peer) == ["vote 1 unknown"], "and nothing fetched")
    }

    @Test func whatTheLeaderWithdrewIsNotFetchedFromOthers() throws {
        var script = validator(right)
        let block = try chain.block(after: chain.genesis, stamp: right)
        let proposal = try chain.proposal(block)
        _ = script.propose(proposal, from: peer)
        _ = script.send(.proposalFetched(block, from: peer))
        let reset = ConsensusReset(height: 0, transactions: [])
        _ = script.send(
            .reset(
                try LeaderMessage(reset, author: chain.leader.publicKey, leader: chain.leader.publicKey)))
        #expect(script.propose(proposal, from: chain.validators[2].publicKey.peerID) == [])
        #expect(script.propose(proposal, from: peer) == ["fetch proposal 1"])
    }

    @Test func whoAgreedBeforeARestartDoesNotLookAtTheClockAgain() throws {
        let block = try chain.block(after: chain.genesis, stamp: ahead)
        let vote = Vote(
            height: 1, stamp: block.stamp, blockHash: block.hash,
            decision: .ack(appHash: TestChain.appHash(block)))
        var script = validator(right, lastVote: vote)
        _ = script.propose(try chain.proposal(block), from: peer)
        #expect(script.send(.proposalFetched(block, from: peer)) == ["relay 1", "execute 1"])
    }
}
