import Bytes
import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Consensus

/// Questions for the status and their answers, confirmed commits, and answers on unknown blocks.
struct StatusTests {
    let chain: TestChain
    let block: CheckedBlock
    let other: CheckedBlock
    let commit: VerifiedCommit
    let state1: ChainState
    let leaderPeer: PeerID

    init() throws {
        chain = try TestChain(validators: 4)
        block = try chain.block(after: chain.genesis, stamp: 1000)
        other = try chain.block(after: chain.genesis, stamp: 2000)
        commit = try chain.commit(block)
        state1 = try chain.genesis.after(block.header, hash: block.hash, commit: commit.info)
        leaderPeer = chain.leader.publicKey.peerID
    }

    /// Returns a leader that waits for votes on `block`.
    func proposing() -> Script {
        var script = Script(chain, as: chain.leader)
        _ = script.send(.mempool(hasTransactions: true))
        _ = script.send(.built(block))
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        _ = script.agreed(block)
        return script
    }

    /// Returns a validator that has voted.
    func voted() throws -> Script {
        var script = Script(chain, as: chain.validators[1])
        _ = script.propose(try chain.proposal(block), from: leaderPeer)
        _ = script.send(.proposalFetched(block, from: leaderPeer))
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        _ = script.agreed(block)
        return script
    }

    /// Returns the status that `teller` sends to `asker`, over the wire.
    func answer(
        of teller: Script, to asker: Script
    ) throws -> (status: VerifiedStatus, from: PeerID) {
        let state = asker.machine.state
        let bytes = teller.machine.status(of: state.height + 1).bytes
        let peer = teller.key.publicKey.peerID
        return (
            VerifiedStatus(
                verifying: try ConsensusStatus(decoding: SharedBytes(bytes)), after: state,
                signers: asker.machine.view.signers(ofProposalsFrom: peer)),
            peer
        )
    }

    @Test func aReconnectedValidatorAsksTheLeader() throws {
        var script = try voted()
        #expect(script.send(.peerReady(leaderPeer)) == ["ask 1"])
        #expect(script.send(.peerReady(chain.validators[2].publicKey.peerID)) == [])
    }

    @Test func theLeaderStillWaitsSoTheVoteIsSentAgain() throws {
        var script = try voted()
        #expect(script.tell(try answer(of: proposing(), to: script)) == ["send 1 ack"])
    }

    @Test func theLeaderCommittedSoTheValidatorDoes() throws {
        var script = try voted()
        let leader = Script(chain, as: chain.leader, state: state1, tipCommit: commit)
        #expect(script.tell(try answer(of: leader, to: script)) == ["commit 1 votes 4"])
        var without = Script(chain, as: chain.validators[2])
        #expect(without.tell(try answer(of: leader, to: without)) == ["fetch decided 1"])
    }

    @Test func theLeaderProposedAnotherBlock() throws {
        var leader = Script(chain, as: chain.leader)
        _ = leader.send(.mempool(hasTransactions: true))
        _ = leader.send(.built(other))
        var script = try voted()
        #expect(script.tell(try answer(of: leader, to: script)) == ["fetch proposal 1"])
    }

    @Test func theLeaderHasWithdrawnIt() throws {
        var script = try voted()
        var leader = proposing()
        _ = leader.wait(.seconds(60))
        #expect(leader.machine.status(of: 1).phase == .withdrawn)
        #expect(script.tell(try answer(of: leader, to: script)) == [], "not asked since it voted")
        _ = script.send(.peerReady(leaderPeer))
        #expect(script.tell(try answer(of: leader, to: script)) == ["roll back"])
        #expect(script.machine.openBlock(height: 1, hash: block.hash) != nil, "it may be asked for the block")
    }

    @Test func aLeaderThatRecoversLeavesTheBlockWithItsVoters() throws {
        var script = try voted()
        _ = script.send(.peerReady(leaderPeer))
        let leader = Script(chain, as: chain.leader, recovered: false)
        #expect(script.tell(try answer(of: leader, to: script)) == [])
        #expect(script.machine.status(of: 1).phase == .proposed)
    }

    @Test func whoeverIsBehindIsToldTheTip() throws {
        var leader = Script(chain, as: chain.leader, state: state1, tipCommit: commit)
        let validator = Script(chain, as: chain.validators[1])
        #expect(leader.tell(try answer(of: validator, to: leader)) == ["announce 1 to one"])
        var ahead = Script(chain, as: chain.validators[1], state: state1, tipCommit: commit)
        #expect(
            ahead.tell(try answer(of: Script(chain, as: chain.leader), to: ahead)) == ["announce 1 to one"])
    }

    @Test func aStatusSaysWhatIsKnown() throws {
        let status = try voted().machine.status(of: 1)
        #expect(status.height == 0)
        #expect(status.phase == .proposed)
        #expect(
            status.vote
                == ConsensusStatus.Ballot(
                    height: 1, stamp: 1000, block: block.hash, isAck: true, oldestHeight: 1))
        #expect(status.proposal?.hash == block.hash)
        #expect(status.follows == chain.leader.publicKey)
        #expect(status.commit == nil)
        let later = Script(chain, as: chain.sentry, state: state1, tipCommit: commit).machine
        #expect(later.status(of: 1).commit == commit.announcement)
        #expect(later.status(of: 2).commit == nil)
        #expect(later.status(of: 2).vote == nil)
    }

    @Test func forgedPartsAreLeftOut() throws {
        let forged = try chain.block(after: chain.genesis, stamp: 1, by: chain.sentry)
        let status = ConsensusStatus(
            height: 1, phase: .proposed, best: forged.header, leaderSignature: forged.block.signature,
            vote: nil,
            proposal: BlockProposal(forged.block, sender: chain.sentry.publicKey), follows: nil,
            commit: BlockAnnouncement(forged.block, commit.info))
        let verified = VerifiedStatus(
            verifying: status, after: chain.genesis, signers: [chain.leader.publicKey])
        #expect(verified.proposal == nil)
        #expect(verified.commit == nil)
        #expect(!verified.provesHeight)
    }

    // MARK: Commit done

    func done(_ number: Int, _ block: CheckedBlock) -> ConsensusEvent {
        let key = chain.validators[number]
        return .commitDone(
            CommitDone(height: block.height, block: block.hash, appHash: TestChain.appHash(block), by: key),
            from: key.publicKey.peerID)
    }

    @Test func announcesAgainToThoseWhoDidNotConfirm() throws {
        var script = proposing()
        for key in chain.validators[1...2] {
            _ = script.send(.acknowledged(try chain.verified(chain.ack(block, by: key)), from: leaderPeer))
        }
        _ = script.send(.committed(block.hash))
        _ = script.send(.mempool(hasTransactions: false))
        #expect(script.send(done(1, block)) == [])
        #expect(script.send(done(1, block)) == [])
        #expect(script.wait(.seconds(3)) == ["announce 1 again except 1"])
        #expect(script.wait(.seconds(3)) == [], "the wait grows")
        #expect(script.send(done(2, block)) == [])
        #expect(script.send(done(3, block)) == [])
        #expect(script.wait(.seconds(3)) == ["announce 1 again except 3"], "sentries confirm nothing")
        #expect(script.send(done(1, other)) == ["warn"], "it committed another block")
    }

    @Test func confirmsAgainWhenTheLeaderAnnouncesAgain() throws {
        var script = Script(chain, as: chain.validators[1], state: state1, tipCommit: commit)
        #expect(script.send(.announcedAgain(from: leaderPeer)) == ["confirm 1"])
        #expect(script.send(.announcedAgain(from: chain.validators[2].publicKey.peerID)) == [])
        var sentry = Script(chain, as: chain.sentry, state: state1, tipCommit: commit)
        #expect(sentry.send(.announcedAgain(from: leaderPeer)) == [])
    }

    // MARK: Answers on other blocks

    @Test func anAnswerForAWithdrawnBlockIsAnsweredByTheReset() throws {
        var script = proposing()
        _ = script.wait(.seconds(60))
        _ = script.send(.rolledBack)
        let late = chain.ack(block, by: chain.validators[2])
        #expect(script.machine.wantsToCheck(late, now: script.now))
        #expect(script.send(.acknowledged(try chain.verified(late), from: leaderPeer)) == ["reset to 0"])
        #expect(!script.machine.wantsToCheck(late, now: script.now), "once in a while")
    }

    @Test func anAnswerForAnUnknownBlockMakesTheLeaderAsk() throws {
        var script = Script(chain, as: chain.leader)
        let stray = chain.ack(block, by: chain.validators[2])
        #expect(script.send(.acknowledged(try chain.verified(stray), from: leaderPeer)) == ["ask 1"])
    }

    @Test func aProposalThatValidatorsCannotVoteForIsReplaced() throws {
        var script = proposing()
        for number in 1...2 {
            let vote = Vote(
                height: 1, stamp: 2000, blockHash: other.hash,
                decision: .ack(appHash: TestChain.appHash(other)))
            let validator = Script(chain, as: chain.validators[number], lastVote: vote)
            let lines = script.tell(try answer(of: validator, to: script))
            #expect(lines == (number == 1 ? [] : ["warn", "reset to 0", "roll back"]))
        }
        #expect(script.machine.stamps.last == 2000, "the next is newer")
    }

    @Test func anUnprovenHeightIsLookedIntoOnceInAWhile() {
        var script = Script(chain, as: chain.leader)
        let peer = chain.validators[1].publicKey.peerID
        #expect(script.send(.ahead(height: 5, isOwn: false, from: chain.sentry.publicKey.peerID)) == [])
        #expect(script.send(.ahead(height: 5, isOwn: false, from: peer)) == ["catch up to 5"])
        #expect(script.send(.syncFinished) == [])
        #expect(script.send(.ahead(height: 5, isOwn: false, from: peer)) == [])
        script.now = .seconds(30)
        #expect(script.send(.ahead(height: 5, isOwn: false, from: peer)) == ["catch up to 5"])
    }

    // MARK: Transactions that make blocks fail

    @Test func halvesARefusedBlockDownToTheTransactionThatFails() throws {
        var script = Script(chain, as: chain.leader)
        var stamp: UInt64 = 1000
        func refuse(_ count: Int) throws -> [String] {
            stamp += 1
            let block = try chain.block(
                after: chain.genesis, stamp: stamp,
                transactions: (0..<count).map { try chain.transaction(UInt64($0 + 1)) })
            _ = script.send(.mempool(hasTransactions: true))
            _ = script.send(.built(block))
            _ = script.send(.executed(block.hash, TestChain.result(block)))
            _ = script.agreed(block)
            var lines: [String] = []
            for key in chain.validators[1...2] {
                let nack = AckRes(height: 1, block: block.hash, answer: .invalidBlock, by: key)
                lines += script.send(.acknowledged(try chain.verified(nack), from: leaderPeer))
            }
            _ = script.send(.rolledBack)
            script.now += .seconds(60)
            return lines
        }
        #expect(try refuse(5) == ["warn", "reset to 0", "roll back"])
        #expect(script.machine.leader?.transactionLimit == 2)
        #expect(try refuse(2) == ["warn", "reset to 0", "roll back"])
        #expect(script.machine.leader?.transactionLimit == 1)
        #expect(try refuse(1) == ["warn", "drop 1", "reset to 0", "roll back"])
    }
}
