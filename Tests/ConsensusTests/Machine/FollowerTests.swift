import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Consensus

/// The transitions of validators and sentries, event by event.
struct FollowerTests {
    let chain: TestChain
    let block: CheckedBlock
    let other: CheckedBlock
    let state1: ChainState
    let block2: CheckedBlock
    let peer: PeerID
    let peer2: PeerID

    init() throws {
        chain = try TestChain(validators: 4)
        block = try chain.block(after: chain.genesis, stamp: 1000)
        other = try chain.block(after: chain.genesis, stamp: 2000)
        state1 = try chain.genesis.after(block.header, hash: block.hash, commit: chain.commit(block).info)
        block2 = try chain.block(after: state1, stamp: 3000)
        peer = chain.leader.publicKey.peerID
        peer2 = chain.validators[2].publicKey.peerID
    }

    func validator(lastVote: Vote? = nil) -> Script {
        Script(chain, as: chain.validators[1], lastVote: lastVote)
    }

    func fetched(_ block: CheckedBlock) -> ConsensusEvent {
        .proposalFetched(block, from: peer)
    }

    /// A validator that has executed `block` and sent its answer.
    func voted() throws -> Script {
        var script = validator()
        _ = script.propose(try chain.proposal(block), from: peer)
        _ = script.send(fetched(block))
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        _ = script.agreed(block)
        return script
    }

    @Test func validatorExecutesVotesAndCommits() throws {
        var script = validator()
        #expect(script.machine.role.name == .validator)
        #expect(script.propose(try chain.proposal(block), from: peer) == ["fetch proposal 1"])
        #expect(script.send(fetched(block)) == ["relay 1", "execute 1"])
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["vote 1 ack"])
        #expect(script.agreed(block) == ["send 1 ack"])
        #expect(script.announce(try chain.commit(block), from: peer) == ["commit 1 votes 4"])
        #expect(script.send(.committed(block.hash)) == ["announce 1 to all", "confirm 1"])
        #expect(script.machine.state.hash == block.hash)
    }

    @Test func downloadsAProposalOnce() throws {
        var script = validator()
        let proposal = try chain.proposal(block)
        #expect(script.propose(proposal, from: peer) == ["fetch proposal 1"])
        #expect(script.propose(proposal, from: peer2) == [])
        #expect(!script.machine.wantsToCheck(proposal.proposal, from: peer, now: .zero))
        let elsewhere = script.fetchFailed(block.hash, from: peer)
        #expect(elsewhere == ["fetch proposal 1 elsewhere"])
        #expect(!script.machine.wantsToCheck(proposal.proposal, from: peer, now: .zero))
        #expect(script.fetchFailed(block.hash, from: peer) == [])
        #expect(script.machine.wantsToCheck(proposal.proposal, from: peer, now: .zero))
        #expect(script.propose(proposal, from: peer2) == ["fetch proposal 1"])
        script.now = .seconds(10)
        #expect(
            script.propose(proposal, from: peer).first == "fetch proposal 1", "the first one is slow")
    }

    @Test func sentriesIgnoreProposals() throws {
        var script = Script(chain, as: chain.sentry)
        #expect(script.machine.role.name == .sentry)
        #expect(!script.machine.wantsToCheck(try chain.proposal(block).proposal, from: peer, now: .zero))
        #expect(script.propose(try chain.proposal(block), from: peer) == [])
    }

    @Test func sentryFollows() throws {
        var script = Script(chain, as: chain.sentry)
        let commit = try chain.commit(block)
        #expect(script.machine.view.canProve(block.header))
        #expect(script.announce(commit, from: peer) == ["fetch decided 1"])
        #expect(script.announce(commit, from: peer2) == [])
        #expect(script.send(.decided(commit, block)) == ["execute 1"])
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["commit 1 votes 4"])
        #expect(script.send(.committed(block.hash)) == ["announce 1 to all"])
    }

    @Test func anAnnouncementOfTheHeightAfterNextIsCheckedOnce() throws {
        var script = Script(chain, as: chain.sentry)
        _ = script.announce(try chain.commit(block), from: peer)
        #expect(script.machine.wantsToCheck(announcementOf: block2.hash, height: 2))
        #expect(
            script.announce(try chain.commit(block2, after: state1), from: peer) == [
                "fetch decided 2"
            ])
        #expect(!script.machine.wantsToCheck(announcementOf: block2.hash, height: 2))
        #expect(script.machine.wantsToCheck(announcementOf: other.hash, height: 2))
        #expect(script.machine.wantsToCheck(announcementOf: block2.hash, height: 3))
    }

    @Test func announcementDuringExecutionIsKept() throws {
        var script = validator()
        _ = script.propose(try chain.proposal(block), from: peer)
        _ = script.send(fetched(block))
        #expect(script.announce(try chain.commit(block), from: peer) == [])
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["commit 1 votes 4"])
    }

    @Test func announcedOtherBlockReplacesThePrepared() throws {
        var script = try voted()
        let commit = try chain.commit(other)
        #expect(script.announce(commit, from: peer) == ["fetch decided 1"])
        #expect(script.send(.decided(commit, other)) == ["roll back"])
        #expect(script.send(.rolledBack) == ["execute 1"])
        #expect(script.send(.executed(other.hash, TestChain.result(other))) == ["commit 1 votes 4"])
    }

    @Test func haltsOnAnotherApplicationHash() throws {
        var script = try voted()
        let wrong = Hash.sha256(of: [9])
        let lines = script.announce(try chain.commit(block, appHash: wrong), from: peer)
        #expect(lines.count == 1)
        #expect(
            script.machine.halted
                == .applicationHashDiffers(height: 1, own: TestChain.appHash(block), committed: wrong))
        #expect(script.machine.deadline == nil)
    }

    @Test func newerProposalReplacesOlderOnes() throws {
        var script = try voted()
        #expect(script.propose(try chain.proposal(other), from: peer) == ["fetch proposal 1"])
        #expect(script.send(fetched(other)) == ["relay 1", "roll back"])
        #expect(script.send(.rolledBack) == ["execute 1"])
        #expect(script.send(.executed(other.hash, TestChain.result(other))) == ["vote 1 ack"])
        #expect(script.propose(try chain.proposal(block), from: peer) == [], "an older stamp")
    }

    @Test func neverVotesForTwoBlocksOfOneStampAcrossARestart() throws {
        let vote = Vote(
            height: 1, stamp: block.stamp, blockHash: block.hash,
            decision: .ack(appHash: TestChain.appHash(block)))
        let twin = try chain.block(after: chain.genesis, stamp: 1000) { $0.merkleRoot = .sha256(of: [1]) }
        var script = validator(lastVote: vote)
        // The builder overwrites the Merkle root, so the twin must differ elsewhere.
        #expect(twin.hash == block.hash)
        let rival = try chain.block(after: chain.genesis, stamp: 1000, transactions: [chain.transaction(1)])
        #expect(script.propose(try chain.proposal(rival), from: peer) == [])
        #expect(script.propose(try chain.proposal(block), from: peer) == ["fetch proposal 1"])
        #expect(
            script.propose(try chain.proposal(other), from: peer) == ["fetch proposal 1"], "newer")
    }

    @Test func haltsWhenExecutingAgainGivesAnotherHash() throws {
        let vote = Vote(height: 1, stamp: block.stamp, blockHash: block.hash, decision: .ack(appHash: .zero))
        var script = validator(lastVote: vote)
        _ = script.propose(try chain.proposal(block), from: peer)
        _ = script.send(fetched(block))
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        #expect(script.machine.halted != nil)
    }

    @Test func resendsItsAnswer() throws {
        var script = try voted()
        #expect(script.machine.deadline == .seconds(2))
        #expect(script.wait(.seconds(2)) == ["send 1 ack"])
        #expect(script.wait(.seconds(2)) == [])
        #expect(script.wait(.seconds(2)) == ["send 1 ack", "ask 1"])
        #expect(
            script.propose(try chain.proposal(block), from: peer) == ["send 1 ack"], "asked again")
        #expect(script.propose(try chain.proposal(block), from: peer2) == [], "relayed")
        let proposal = try chain.proposal(block).proposal
        #expect(script.machine.wantsToCheck(proposal, from: peer, now: script.now))
        #expect(!script.machine.wantsToCheck(proposal, from: peer2, now: script.now))
    }

    static let headerFaults: [(String, @Sendable (inout BlockHeader) -> Void)] = [
        ("previous app hash", { $0.previousAppHash = .sha256(of: [1]) }),
        ("validator set", { $0.validatorSetHash = .sha256(of: [1]) }),
        ("parameters", { $0.networkParametersHash = .sha256(of: [1]) }),
        ("far future", { $0.timestamp = 10_000 + BlockValidation.allowedClockSkew + 1 }),
    ]

    @Test(arguments: 0..<headerFaults.count) func refusesInvalidProposals(_ index: Int) throws {
        var script = validator()
        let bad = try chain.block(after: chain.genesis, stamp: 1000, change: Self.headerFaults[index].1)
        #expect(script.propose(try chain.proposal(bad), from: peer) == ["fetch proposal 1"])
        let isEarly = bad.stamp > 10_000
        let line = isEarly ? "unknown" : "invalid block"
        #expect(script.send(fetched(bad)) == ["relay 1", "warn", "vote 1 \(line)"])
        #expect(
            script.recorded(
                Vote(height: 1, stamp: bad.stamp, blockHash: bad.hash, decision: .nack),
                isEarly ? .unknown : .invalidBlock)
                == ["send 1 \(line)"])
        #expect(script.send(.timer) == [], "not executed")
        #expect(
            script.propose(try chain.proposal(block), from: peer) == [] || bad.stamp < block.stamp)
    }

    @Test func refusesAnOversizedProposal() throws {
        var parameters = chain.genesis.parameters
        parameters.maxBlockSize = 10
        let state = ChainState(
            height: 0, hash: .zero, appHash: .zero, timestamp: 0, parameters: parameters,
            validators: chain.genesis.validators)
        var script = Script(chain, as: chain.validators[1], state: state)
        let big = try chain.block(after: state, stamp: 1000, transactions: [chain.transaction(1)])
        _ = script.propose(try chain.proposal(big), from: peer)
        #expect(script.send(fetched(big)) == ["relay 1", "warn", "vote 1 invalid block"])
    }

    /// A block agreed to before a restart can neither be refused nor be tried without a pause.
    @Test func triesAgainAfterAWhileWhatItAgreedToAndCannotExecuteNow() throws {
        let vote = Vote(
            height: 1, stamp: block.stamp, blockHash: block.hash,
            decision: .ack(appHash: TestChain.appHash(block)))
        var script = validator(lastVote: vote)
        _ = script.propose(try chain.proposal(block), from: peer)
        #expect(script.send(fetched(block)) == ["relay 1", "execute 1"])
        for wait in [2, 4, 8] {
            #expect(
                script.send(.executionFailed(block.hash, .overBudget(transactions: 1))) == ["warn", "warn"])
            #expect(script.send(.timer) == [])
            #expect(script.machine.deadline == script.now + .seconds(wait))
            #expect(script.wait(.seconds(wait)) == ["execute 1"])
            #expect(script.machine.deadline == nil)
        }
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["vote 1 ack"])
    }

    @Test func announcementFieldsMustBeTheBlocks() throws {
        var script = validator()
        let honest = BlockProposal(block.block, sender: chain.leader.publicKey)
        let lie = BlockProposal(
            height: honest.height, hash: honest.hash, previousHash: honest.previousHash,
            stamp: honest.stamp + 1,
            leaderSignature: honest.leaderSignature, senderKey: honest.senderKey)
        let verified = try VerifiedProposal(verifying: lie, leader: chain.leader.publicKey)
        let stranger = chain.sentry.publicKey.peerID
        for (source, lines) in [(peer2, []), (stranger, ["misbehaved"])] {
            script = validator()
            #expect(script.propose(verified, from: source) == ["fetch proposal 1"])
            #expect(
                script.send(.proposalFetched(block, from: source)) == lines,
                "a validator may lead by a promotion unknown to this one")
        }
        #expect(script.propose(try chain.proposal(block), from: peer) == ["fetch proposal 1"])
    }

    @Test func tellsTheLeaderThatItIsBehind() throws {
        let commit = try chain.commit(block)
        var script = Script(chain, as: chain.validators[1], state: state1, tipCommit: commit)
        #expect(
            script.propose(try chain.proposal(other), from: peer) == ["refuse 1 out of sync at 1"])
        #expect(script.propose(try chain.proposal(other), from: peer2) == [], "once in a while")
        let old = try chain.block(after: chain.genesis, stamp: 900)
        #expect(
            !script.machine.wantsToCheck(try chain.proposal(old).proposal, from: peer, now: .zero),
            "a replayed old one")
    }

    @Test func fetchesTheNextProposalWhileCommitting() throws {
        var script = try voted()
        _ = script.announce(try chain.commit(block), from: peer)
        #expect(script.propose(try chain.proposal(block2), from: peer) == ["fetch proposal 2"])
        #expect(script.send(fetched(block2)) == ["relay 2"])
        #expect(script.send(.committed(block.hash)) == ["announce 1 to all", "confirm 1", "execute 2"])
    }

    @Test func catchesUpWhenProposalsOrAnnouncementsAreFarAhead() throws {
        let state2 = try state1.after(block2.header, hash: block2.hash, commit: chain.commit(block2).info)
        let block3 = try chain.block(after: state2, stamp: 4000)
        var script = validator()
        #expect(script.propose(try chain.proposal(block3), from: peer) == ["catch up to 2"])
        let other = chain.validators[2].publicKey.peerID
        let again = script.propose(try chain.proposal(block3), from: other)
        #expect(again == ["catch up to 2"], "another peer may be asked for it, too")
        #expect(script.announce(try chain.commit(block3), from: peer) == ["catch up to 3"])
        #expect(script.send(.decided(try chain.commit(block), block)) == ["execute 1"])
        #expect(script.send(.decided(try chain.commit(block2), block2)) == [])
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        #expect(script.send(.committed(block.hash)) == ["execute 2"], "not announced while catching up")
        _ = script.send(.executed(block2.hash, TestChain.result(block2)))
        #expect(script.send(.committed(block2.hash)) == [])
        #expect(script.send(.decided(try chain.commit(block3), block3)) == ["execute 3"])
        _ = script.send(.executed(block3.hash, TestChain.result(block3)))
        #expect(script.send(.committed(block3.hash)) == ["announce 3 to all", "confirm 3"])
        #expect(!script.machine.isSyncing)
    }

    @Test func catchesUpWhenTheAnnouncedBlockDoesNotCome() throws {
        var script = Script(chain, as: chain.sentry)
        _ = script.announce(try chain.commit(block), from: peer)
        #expect(script.send(.decidedFetchFailed(block.hash, from: peer)) == ["catch up to 1"])
        var slow = Script(chain, as: chain.sentry)
        _ = slow.announce(try chain.commit(block), from: peer)
        #expect(slow.machine.deadline == .seconds(10))
        #expect(slow.wait(.seconds(10)) == ["catch up to 1"])
        #expect(
            slow.send(.decided(try chain.commit(block), block)) == ["execute 1"], "a late block is accepted")
    }

    @Test func haltsOnAForkedTip() throws {
        var script = Script(chain, as: chain.sentry, state: state1, tipCommit: try chain.commit(block))
        _ = script.announce(try chain.commit(other), from: peer)
        #expect(script.machine.halted == .forked(height: 1, own: block.hash, committed: other.hash))
    }

    @Test func haltsWhenTheCommittedBlockDoesNotFollow() throws {
        let otherState = try chain.genesis.after(
            other.header, hash: other.hash, commit: chain.commit(other).info)
        let stranger = try chain.block(after: otherState, stamp: 4000)
        var script = Script(chain, as: chain.sentry, state: state1, tipCommit: try chain.commit(block))
        _ = script.send(.decided(try chain.commit(stranger), stranger))
        #expect(script.machine.halted == .forked(height: 2, own: block.hash, committed: other.hash))
    }

    @Test func resetDropsTheProposal() throws {
        var script = try voted()
        let reset = try LeaderMessage(
            ConsensusReset(height: 0, transactions: [.zero]), author: chain.leader.publicKey,
            leader: chain.leader.publicKey)
        #expect(script.send(.reset(reset)) == ["drop 1", "roll back"])
        #expect(script.send(.rolledBack) == [])
        #expect(script.propose(try chain.proposal(other), from: peer) == ["fetch proposal 1"])
    }

    @Test func resetNeverUndoesWhatIsDecided() throws {
        var script = try voted()
        _ = script.announce(try chain.commit(block), from: peer)
        let reset = try LeaderMessage(
            ConsensusReset(height: 0, transactions: []), author: chain.leader.publicKey,
            leader: chain.leader.publicKey)
        #expect(script.send(.reset(reset)) == [])
        #expect(script.send(.committed(block.hash)) == ["announce 1 to all", "confirm 1"])
        #expect(script.send(.reset(reset)) == [])
        #expect(script.machine.state.height == 1)
    }

    @Test func committedLeaderChangeChangesRoles() throws {
        let successor = chain.validators[1]
        let handover = try chain.block(after: chain.genesis, stamp: 1000, by: successor) {
            $0.newLeader = successor.publicKey
        }
        let vote = Vote(
            height: 1, stamp: 1000, blockHash: handover.hash,
            decision: .ack(appHash: TestChain.appHash(handover)))
        var script = Script(chain, as: successor, lastVote: vote)
        let commit = try chain.commit(handover)
        _ = script.send(.decided(commit, handover))
        _ = script.send(.executed(handover.hash, TestChain.result(handover)))
        _ = script.send(.committed(handover.hash))
        #expect(script.machine.role.name == .leader)
        #expect(script.send(.mempool(hasTransactions: true)) == ["build 2"])
    }

    @Test func storageFailureHalts() throws {
        var script = try voted()
        #expect(script.send(.failed("disk full")) == ["halt: disk full"])
        #expect(script.announce(try chain.commit(block), from: peer) == [])
    }
}
