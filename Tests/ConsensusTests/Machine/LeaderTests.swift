import Chain
import Crypto
import TestSupport
import Testing

@testable import Consensus

/// The leader's transitions, event by event.
struct LeaderTests {
    let chain: TestChain
    let block: CheckedBlock

    init() throws {
        chain = try TestChain(validators: 4)
        block = try chain.block(after: chain.genesis, stamp: 1000)
    }

    func leader(_ change: (inout ConsensusSettings) -> Void = { _ in }) -> Script {
        Script(chain, as: chain.leader, change: change)
    }

    /// Returns a leader whose block is proposed and executed, and its own vote counted.
    func proposing() -> Script {
        var script = leader()
        _ = script.send(.mempool(hasTransactions: true))
        _ = script.send(.built(block))
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        _ = script.agreed(block)
        return script
    }

    @Test func proposesVotesAndCommits() throws {
        var script = leader()
        #expect(script.machine.role.name == .leader)
        #expect(script.send(.mempool(hasTransactions: true)) == ["build 1"])
        #expect(script.send(.mempool(hasTransactions: true)) == [], "one build at a time")
        #expect(script.send(.built(block)) == ["propose 1 to all", "execute 1"])
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["vote 1 ack"])
        #expect(script.agreed(block) == [])
        let peer = chain.sentry.publicKey.peerID
        #expect(
            script.send(
                .acknowledged(try chain.verified(chain.ack(block, by: chain.validators[1])), from: peer))
                == [])
        #expect(
            script.send(
                .acknowledged(try chain.verified(chain.ack(block, by: chain.validators[2])), from: peer))
                == ["commit 1 votes 3"])
        #expect(script.send(.committed(block.hash)) == ["announce 1 to all"])
        #expect(script.machine.state.height == 1)
        #expect(script.machine.state.appHash == TestChain.appHash(block))
        #expect(script.wait(.milliseconds(100)) == ["build 2"])
    }

    @Test func countsAnswersThatComeBeforeItsOwn() throws {
        var script = leader()
        _ = script.send(.mempool(hasTransactions: true))
        _ = script.send(.built(block))
        let peer = chain.sentry.publicKey.peerID
        for key in chain.validators[1...3] {
            #expect(
                script.send(.acknowledged(try chain.verified(chain.ack(block, by: key)), from: peer)) == [])
        }
        #expect(
            script.send(.executed(block.hash, TestChain.result(block))) == [
                "vote 1 ack", "commit 1 votes 3",
            ],
            "three of four suffice without its own")
    }

    @Test func countsAValidatorOnce() throws {
        var script = proposing()
        let peer = chain.sentry.publicKey.peerID
        let answer = try chain.verified(chain.ack(block, by: chain.validators[1]))
        for _ in 0..<3 { #expect(script.send(.acknowledged(answer, from: peer)) == []) }
    }

    @Test func ignoresAnswersOfOthersAndOfOtherBlocks() throws {
        var script = proposing()
        let peer = chain.sentry.publicKey.peerID
        let other = try chain.block(after: chain.genesis, stamp: 999)
        #expect(
            script.send(.acknowledged(try chain.verified(chain.ack(block, by: chain.sentry)), from: peer))
                == [])
        for (key, lines) in zip(chain.validators[1...3], [["propose 1 to 1"], [], []]) {
            #expect(
                script.send(.acknowledged(try chain.verified(chain.ack(other, by: key)), from: peer))
                    == lines,
                "it is told what is proposed, once in a while")
        }
        #expect(!script.machine.wantsToCheck(chain.ack(block, by: chain.sentry), now: .zero))
        #expect(!script.machine.wantsToCheck(chain.ack(other, by: chain.validators[1]), now: .zero))
        #expect(script.machine.wantsToCheck(chain.ack(block, by: chain.validators[1]), now: .zero))
    }

    @Test func commitsWithAMinorityForkedAndSaysSo() throws {
        var script = proposing()
        let peer = chain.sentry.publicKey.peerID
        let wrong = Hash.sha256(of: [1])
        _ = script.send(
            .acknowledged(
                try chain.verified(chain.ack(block, by: chain.validators[1], appHash: wrong)), from: peer))
        _ = script.send(
            .acknowledged(try chain.verified(chain.ack(block, by: chain.validators[2])), from: peer))
        var actions = script.actions(
            .acknowledged(try chain.verified(chain.ack(block, by: chain.validators[3])), from: peer))
        guard case .commit(_, _, let decision) = actions.removeFirst() else {
            Issue.record("no commit")
            return
        }
        #expect(decision.info.votes.map(\.status) == [.agreed, .forked(wrong), .agreed, .agreed])
        #expect(decision.info.isCommitted(block: block.hash, by: chain.genesis.validators))
    }

    @Test func haltsWhenTheMajorityComputedAnotherHash() throws {
        var script = proposing()
        let peer = chain.sentry.publicKey.peerID
        let wrong = Hash.sha256(of: [1])
        var lines: [String] = []
        for key in chain.validators[1...3] {
            lines += script.send(
                .acknowledged(try chain.verified(chain.ack(block, by: key, appHash: wrong)), from: peer))
        }
        #expect(lines.count == 1)
        #expect(
            script.machine.halted
                == .applicationHashDiffers(height: 1, own: TestChain.appHash(block), committed: wrong))
        #expect(script.send(.mempool(hasTransactions: true)) == [], "a halted machine does nothing")
    }

    @Test func withdrawsWhatIsRefused() throws {
        var script = proposing()
        let peer = chain.sentry.publicKey.peerID
        func nack(_ key: PrivateKey) throws -> VerifiedAcknowledgement {
            try chain.verified(AckRes(height: 1, block: block.hash, answer: .invalidBlock, by: key))
        }
        #expect(script.send(.acknowledged(try nack(chain.validators[1]), from: peer)) == [])
        #expect(
            script.send(.acknowledged(try nack(chain.validators[2]), from: peer))
                == ["warn", "reset to 0", "roll back"],
            "two of four can no longer be outvoted")
        #expect(script.send(.rolledBack) == [])
        #expect(script.wait(.milliseconds(3_999)) == [])
        #expect(script.wait(.milliseconds(1)) == ["build 1"])
        let again = try chain.block(after: chain.genesis, stamp: 2000)
        #expect(script.send(.built(again)) == ["propose 1 to all", "execute 1"])
    }

    @Test func offersAgainToTheSilent() throws {
        var script = proposing()
        let peer = chain.sentry.publicKey.peerID
        _ = script.send(
            .acknowledged(try chain.verified(chain.ack(block, by: chain.validators[1])), from: peer))
        #expect(script.wait(.milliseconds(1_999)) == [])
        #expect(script.wait(.milliseconds(1)) == ["propose 1 to 2"])
        #expect(script.wait(.seconds(2)) == [])
        #expect(script.wait(.seconds(2)) == ["propose 1 to 2", "ask 2"], "the wait doubles")
        #expect(script.send(.peerReady(chain.validators[3].publicKey.peerID)) == ["propose 1 to 1"])
        #expect(script.send(.peerReady(chain.validators[1].publicKey.peerID)) == [], "it has answered")
    }

    @Test func withdrawsAfterTheTimeout() {
        var script = proposing()
        #expect(script.wait(.seconds(60)).suffix(3) == ["warn", "reset to 0", "roll back"])
    }

    @Test func answersAValidatorThatMissedTheAnnouncement() throws {
        var script = proposing()
        let peer = chain.sentry.publicKey.peerID
        for key in chain.validators[1...2] {
            _ = script.send(.acknowledged(try chain.verified(chain.ack(block, by: key)), from: peer))
        }
        _ = script.send(.committed(block.hash))
        let late = try chain.verified(chain.ack(block, by: chain.validators[3]))
        _ = script.send(.mempool(hasTransactions: false))
        #expect(script.send(.acknowledged(late, from: peer)) == [], "merely late")
        _ = script.wait(.seconds(2))
        #expect(script.send(.acknowledged(late, from: peer)).contains("announce 1 to one"))
    }

    @Test func emptyBlocksAfterTheirInterval() throws {
        var script = leader { $0.emptyBlockInterval = .seconds(30) }
        #expect(script.machine.deadline == .seconds(30))
        #expect(script.wait(.seconds(29)) == [])
        #expect(script.wait(.seconds(1)) == ["build 1 empty"])
        var never = leader { $0.emptyBlockInterval = .zero }
        #expect(never.machine.deadline == nil)
        #expect(never.wait(.seconds(100_000)) == [])
    }

    @Test func waitsForTheMempoolWhenNothingFitsABlock() {
        var script = leader()
        #expect(script.send(.mempool(hasTransactions: true)) == ["build 1"])
        #expect(script.send(.built(nil)) == [])
        #expect(script.wait(.seconds(1)) == [])
        #expect(script.send(.mempool(hasTransactions: true)) == ["build 1"])
    }

    @Test func learnsThatItIsBehind() throws {
        var script = proposing()
        let peer = chain.validators[1].publicKey.peerID
        let better = try chain.block(after: chain.genesis, stamp: 500)
        let message = AckRes(
            height: 1, block: block.hash,
            answer: .outOfSync(best: better.header, leaderSignature: better.block.signature),
            by: chain.validators[1])
        #expect(script.send(.acknowledged(try chain.verified(message), from: peer)) == ["catch up to 1"])
        #expect(!script.machine.isSyncing, "one height does not make it count as behind")
        #expect(script.send(.decided(try chain.commit(better), better)) == ["roll back"])
        #expect(script.send(.rolledBack) == ["execute 1"])
        #expect(script.send(.executed(better.hash, TestChain.result(better))) == ["commit 1 votes 4"])
        #expect(script.send(.committed(better.hash)).first == "announce 1 to all")
        #expect(!script.machine.isSyncing)
    }

    @Test func believesOnlyProvenHeights() {
        var script = leader()
        let peer = chain.sentry.publicKey.peerID
        #expect(script.send(.ahead(height: 9, isOwn: false, from: peer)) == [])
        #expect(script.send(.ahead(height: 9, isOwn: true, from: peer)) == ["catch up to 9"])
        #expect(script.send(.mempool(hasTransactions: true)) == ["build 1"])
    }

    @Test func proposesAnewAfterARestartAboveItsOldStamp() throws {
        let vote = Vote(
            height: 1, stamp: 5_000, blockHash: block.hash, decision: .ack(appHash: TestChain.appHash(block)))
        var script = Script(chain, as: chain.leader, lastVote: vote)
        let actions = script.actions(.mempool(hasTransactions: true))
        guard case .build(let template)? = actions.first else {
            Issue.record("no build")
            return
        }
        #expect(template.after == 5_000)
        #expect(template.timestamp(at: 1_000) == 5_001)
    }

    @Test func announcesItsTipToANewPeer() throws {
        let commit = try chain.commit(block)
        let state = try chain.genesis.after(block.header, hash: block.hash, commit: commit.info)
        var script = Script(chain, as: chain.leader, state: state, tipCommit: commit)
        #expect(script.send(.peerReady(chain.sentry.publicKey.peerID)) == ["announce 1 to one"])
    }
}
