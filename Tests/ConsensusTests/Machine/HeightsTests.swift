import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Consensus

/// The effects of claims and proofs of heights above the tip.
struct HeightsTests {
    let chain: TestChain
    var blocks: [CheckedBlock] = []
    var commits: [VerifiedCommit] = []
    var states: [ChainState]

    init() throws {
        chain = try TestChain(validators: 4)
        states = [chain.genesis]
        for height in 1...5 {
            let block = try chain.block(after: states[height - 1], stamp: UInt64(height) * 1_000)
            let commit = try chain.commit(block, after: states[height - 1])
            blocks.append(block)
            commits.append(commit)
            states.append(try states[height - 1].after(block.header, hash: block.hash, commit: commit.info))
        }
    }

    var peer: PeerID { chain.validators[2].publicKey.peerID }

    func sentry() -> Script { Script(chain, as: chain.sentry) }

    /// Commits the block of a decided height, and returns the resulting lines.
    func commit(_ height: Int, _ script: inout Script) -> [String] {
        let block = blocks[height - 1]
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        return script.send(.committed(block.hash))
    }

    @Test func aClaimChangesNothing() throws {
        var script = sentry()
        #expect(
            script.send(.ahead(height: 1_000_000, isOwn: false, from: peer)) == ["catch up to 1000000"])
        #expect(!script.machine.isSyncing && !script.machine.isBehind)
        #expect(script.announce(commits[0], from: peer) == ["fetch decided 1"])
        #expect(script.send(.decided(commits[0], blocks[0])) == ["execute 1"])
        #expect(commit(1, &script) == ["announce 1 to all"], "while the peer is asked")
        #expect(!script.machine.isSyncing)
        #expect(script.send(.syncFinished) == [])
    }

    @Test func aClaimDoesNotHideWhoHasBlocks() throws {
        var script = sentry()
        _ = script.send(.ahead(height: 1_000_000, isOwn: false, from: peer))
        let other = chain.validators[1].publicKey.peerID
        #expect(script.announce(commits[3], from: other) == ["catch up to 4"])
    }

    @Test func aClaimDoesNotKeepALeaderFromProposing() throws {
        var script = Script(chain, as: chain.leader)
        #expect(script.send(.ahead(height: 9, isOwn: false, from: peer)) == ["catch up to 9"])
        #expect(script.send(.mempool(hasTransactions: true)) == ["build 1"])
    }

    @Test func aProposalsHeightProvesNothing() throws {
        var script = Script(chain, as: chain.validators[1])
        let real = try chain.proposal(blocks[0]).proposal
        let lie = BlockProposal(
            height: 1 << 40, hash: real.hash, previousHash: real.previousHash, stamp: real.stamp,
            leaderSignature: real.leaderSignature, senderKey: real.senderKey)
        let verified = try VerifiedProposal(verifying: lie, leader: chain.leader.publicKey)
        #expect(script.propose(verified, from: peer) == ["catch up to \(Int64(1) << 40 - 1)"])
        #expect(script.machine.heights.proven == 0)
    }

    @Test func whatIsProvenFarAboveMakesANodeSync() throws {
        var script = sentry()
        #expect(script.machine.wouldProve(commits[4].header, now: script.now))
        #expect(script.announce(commits[4], from: peer) == ["catch up to 5"])
        #expect(script.machine.isSyncing && script.machine.isBehind)
        #expect(!script.machine.wouldProve(commits[3].header, now: script.now), "nothing new")
        var announced: [Int] = []
        for height in 1...5 {
            _ = script.send(.decided(commits[height - 1], blocks[height - 1]))
            if commit(height, &script).contains("announce \(height) to all") { announced.append(height) }
        }
        #expect(announced == [5], "only the newest of the synced blocks")
        #expect(!script.machine.isSyncing && !script.machine.isBehind)
    }

    @Test func aPeerThatWaitsHearsOfALongSync() throws {
        var script = sentry()
        _ = script.announce(commits[4], from: peer)
        _ = script.send(.decided(commits[0], blocks[0]))
        script.now += .seconds(6)
        #expect(commit(1, &script).contains("announce 1 to all"))
    }

    @Test func whatNobodyDeliversIsNotWaitedFor() throws {
        var script = sentry()
        _ = script.announce(commits[4], from: peer)
        _ = script.send(.decided(commits[0], blocks[0]))
        #expect(commit(1, &script) == [])
        #expect(script.send(.syncFinished) == ["announce 1 to all"], "the tip, when syncing ends")
        #expect(!script.machine.isSyncing && !script.machine.isBehind)
    }

    @Test func votesKeepALeaderFromProposing() throws {
        var script = Script(chain, as: chain.leader)
        #expect(script.announce(commits[4], from: peer) == ["catch up to 5"])
        #expect(script.send(.mempool(hasTransactions: true)) == [], "an earlier process was further")
        #expect(script.send(.syncFinished) == ["build 1"])
    }

    @Test func aLeadersOwnSignatureAsksAndProvesNothing() throws {
        var script = Script(chain, as: chain.leader)
        let stranger = chain.sentry.publicKey.peerID
        #expect(
            script.send(.ahead(height: 1_000_000, isOwn: true, from: stranger)) == ["catch up to 1000000"],
            "its key may have served an earlier chain, and its disk may be new")
        #expect(script.machine.heights.proven == 0)
        #expect(script.send(.mempool(hasTransactions: true)) == ["build 1"])
    }

    @Test func aHeaderUnderOtherRulesProvesNothing() throws {
        var script = Script(chain, as: chain.leader)
        let foreign = try chain.block(after: states[4], stamp: 9_000) { $0.validatorSetHash = .zero }
        for (block, isProven) in [(foreign, false), (blocks[4], true)] {
            let answer = AckRes(
                height: 1, block: .zero,
                answer: .outOfSync(best: block.header, leaderSignature: block.block.signature),
                by: chain.validators[2])
            _ = script.send(.acknowledged(try chain.verified(answer), from: peer))
            #expect(script.machine.isBehind == isProven, "any peer can send another header with a vote")
        }
    }

    @Test func whatNobodyDeliversTwiceIsNotBelieved() throws {
        var script = Script(chain, as: chain.leader)
        _ = script.send(.mempool(hasTransactions: true))
        for (round, disbelief) in [0, 60, 120].enumerated() {
            #expect(script.machine.wouldProve(commits[4].header, now: script.now), "round \(round)")
            _ = script.announce(commits[4], from: peer)
            #expect(script.machine.isBehind)
            _ = script.send(.syncFinished)
            #expect(!script.machine.isBehind)
            guard disbelief > 0 else { continue }
            script.now += .seconds(disbelief) - .milliseconds(1)
            #expect(!script.machine.wouldProve(commits[4].header, now: script.now))
            _ = script.announce(commits[4], from: peer)
            #expect(!script.machine.isBehind, "an earlier chain of the same leader and validators")
            _ = script.send(.syncFinished)
            script.now += .milliseconds(1)
        }
    }

    @Test func whatIsDeliveredIsBelievedAgain() throws {
        var script = sentry()
        for _ in 0..<2 {
            _ = script.announce(commits[3], from: peer)
            _ = script.send(.syncFinished)
        }
        script.now += .seconds(60)
        _ = script.announce(commits[3], from: peer)
        for height in 1...4 {
            _ = script.send(.decided(commits[height - 1], blocks[height - 1]))
            _ = commit(height, &script)
        }
        #expect(script.machine.heights.undelivered == 0)
    }

    @Test func catchingUpTwoAtATimeCountsAsBehind() throws {
        var script = sentry()
        _ = script.send(.ahead(height: 5, isOwn: false, from: peer))
        _ = script.send(.decided(commits[0], blocks[0]))
        #expect(!script.machine.isSyncing)
        _ = script.send(.decided(commits[1], blocks[1]))
        #expect(!script.machine.isSyncing, "as far as is known, it follows")
        script.now = .seconds(5)
        _ = script.send(.decided(commits[1], blocks[1]))
        #expect(script.machine.isSyncing, "it does not get level")
        _ = commit(1, &script)
        #expect(script.machine.isSyncing, "the next ones are about to arrive")
        _ = commit(2, &script)
        #expect(script.machine.deadline == .seconds(10))
        _ = script.wait(.seconds(5))
        #expect(!script.machine.isSyncing, "nothing more arrived")
    }

    @Test func aClaimDoesNotMakeABusyNodeCountAsBehind() throws {
        var script = sentry()
        _ = script.send(.ahead(height: 1_000_000, isOwn: false, from: peer))
        for height in stride(from: 1, through: 3, by: 2) {
            for next in [height, height + 1] { _ = script.announce(commits[next - 1], from: peer) }
            script.now += .seconds(3)
            _ = script.send(.timer)
            #expect(!script.machine.isSyncing, "two at a time, and level between")
            for next in [height, height + 1] {
                _ = script.send(.decided(commits[next - 1], blocks[next - 1]))
                _ = commit(next, &script)
                #expect(!script.machine.isSyncing)
            }
        }
        #expect(script.machine.state.height == 4)
    }
}
