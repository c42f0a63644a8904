import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Consensus

/// A leader that is gone for good: the operators promote a validator.
struct PromotionTests {
    let chain: TestChain
    let successor: PrivateKey
    let promotion: Promotion

    init() throws {
        chain = try TestChain(validators: 4)
        successor = chain.validators[1]
        promotion = Promotion(leader: successor.publicKey, height: 1)
    }

    func handover() throws -> CheckedBlock {
        try chain.block(after: chain.genesis, stamp: 1000, by: successor) {
            $0.newLeader = successor.publicKey
        }
    }

    func proposal(_ block: CheckedBlock, by key: PrivateKey) throws -> VerifiedProposal {
        try VerifiedProposal(
            verifying: BlockProposal(block.block, sender: key.publicKey), leader: key.publicKey)
    }

    func follower(_ change: (inout ConsensusSettings) -> Void = { _ in }) -> Script {
        Script(chain, as: chain.validators[2]) {
            $0.promotion = promotion
            change(&$0)
        }
    }

    @Test func aFollowerOfThePromotionVotesForTheNewLeaderOnly() throws {
        var script = follower()
        let peer = successor.publicKey.peerID
        let block = try handover()
        let old = try chain.block(after: chain.genesis, stamp: 2000)
        #expect(script.propose(try chain.proposal(old), from: chain.leader.publicKey.peerID) == [])
        #expect(
            script.propose(try proposal(block, by: successor), from: peer) == ["fetch proposal 1"])
        #expect(
            script.send(.proposalFetched(block, from: peer)) == ["relay 1", "execute 1"])
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["vote 1 ack"])
        _ = script.agreed(block)
        #expect(script.announce(try chain.commit(block), from: peer) == ["commit 1 votes 4"])
        _ = script.send(.committed(block.hash))
        #expect(script.machine.state.leader == successor.publicKey)
        #expect(script.machine.candidate == nil, "it is the leader now")
    }

    @Test func othersIgnoreItsProposalAndAcceptItsBlock() throws {
        var script = Script(chain, as: chain.validators[2])
        let peer = successor.publicKey.peerID
        let block = try handover()
        #expect(script.propose(try proposal(block, by: successor), from: peer) == [])
        #expect(script.announce(try chain.commit(block), from: peer) == ["fetch decided 1"])
        _ = script.send(.decided(try chain.commit(block), block))
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["commit 1 votes 4"])
        _ = script.send(.committed(block.hash))
        #expect(script.machine.proposer == successor.publicKey)
    }

    @Test func theOldLeaderStepsDownWhenTheBlockIsCommitted() throws {
        var script = Script(chain, as: chain.leader)
        let own = try chain.block(after: chain.genesis, stamp: 1000)
        _ = script.send(.mempool(hasTransactions: true))
        _ = script.send(.built(own))
        _ = script.send(.executed(own.hash, TestChain.result(own)))
        _ = script.agreed(own)
        let block = try handover()
        _ = script.announce(try chain.commit(block), from: successor.publicKey.peerID)
        #expect(script.send(.decided(try chain.commit(block), block)) == ["roll back"])
        #expect(script.send(.rolledBack) == ["execute 1"])
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        _ = script.send(.committed(block.hash))
        #expect(script.machine.role.name == .validator)
        #expect(script.send(.mempool(hasTransactions: true)) == [])
    }

    @Test func aHeaderThatNamesALeaderIsRefusedFromAnyOther() throws {
        var script = Script(chain, as: chain.validators[2])
        let peer = chain.leader.publicKey.peerID
        let block = try chain.block(after: chain.genesis, stamp: 1000) { $0.newLeader = successor.publicKey }
        _ = script.propose(try chain.proposal(block), from: peer)
        #expect(
            script.send(.proposalFetched(block, from: peer))
                == ["relay 1", "warn", "vote 1 invalid block"])
    }

    @Test func aPromotionIsVoidOnceTheLeaderChanged() throws {
        let block = try handover()
        let after = try chain.genesis.after(block.header, hash: block.hash, commit: chain.commit(block).info)
        let third = chain.validators[3]
        let again = try chain.block(after: after, stamp: 2000, by: third) { $0.newLeader = third.publicKey }
        let later = try after.after(
            again.header, hash: again.hash, commit: chain.commit(again, after: after).info)
        #expect(promotion.applies(to: chain.genesis))
        #expect(!promotion.applies(to: after))
        #expect(!promotion.applies(to: later), "an old promotion stays void")
        #expect(Promotion(leader: successor.publicKey, height: 3).applies(to: later))
        #expect(!Promotion(leader: successor.publicKey, height: 4).applies(to: later), "not yet")
        #expect(!Promotion(leader: chain.sentry.publicKey, height: 3).applies(to: later), "not a validator")
    }
}
