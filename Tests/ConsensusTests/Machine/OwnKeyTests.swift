import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Consensus

/// Votes with a node's own key that it did not give.
struct OwnKeyTests {
    let chain: TestChain
    /// The start of the process by its clock.
    let start: UInt64 = 1_700_000_000_000
    let first: CheckedBlock
    let second: CheckedBlock
    let state1: ChainState

    init() throws {
        chain = try TestChain(validators: 4)
        first = try chain.block(after: chain.genesis, stamp: start + 61_000)
        let commit = try chain.commit(first)
        state1 = try chain.genesis.after(first.header, hash: first.hash, commit: commit.info)
        second = try chain.block(after: state1, stamp: start + 62_000)
    }

    var own: PrivateKey { chain.validators[1] }
    var leader: PeerID { chain.leader.publicKey.peerID }

    /// Returns a validator that has voted on the first block and committed it, and has a proposal for the second.
    func following(votes: Bool = true) throws -> Script {
        var script = Script(chain, as: own)
        script.wallClock = start
        _ = script.send(.timer)
        script.now = .seconds(61)
        script.wallClock = start + 61_000
        if votes {
            _ = script.propose(try chain.proposal(first), from: leader)
            _ = script.send(.proposalFetched(first, from: leader))
            _ = script.send(.executed(first.hash, TestChain.result(first)))
            _ = script.agreed(first)
            _ = script.announce(try chain.commit(first), from: leader)
        } else {
            _ = script.send(.decided(try chain.commit(first), first))
            _ = script.send(.executed(first.hash, TestChain.result(first)))
        }
        _ = script.send(.committed(first.hash))
        script.now = .seconds(62)
        script.wallClock = start + 62_000
        _ = script.propose(try chain.proposal(second), from: leader)
        _ = script.send(.proposalFetched(second, from: leader))
        #expect(script.machine.state.height == 1)
        return script
    }

    func heard(_ message: AckRes) throws -> ConsensusEvent { .ownVoteHeard(try chain.verified(message)) }

    @Test func aVoteThatWasNotGivenStopsTheNode() throws {
        let nack = AckRes(height: 2, block: second.hash, answer: .invalidBlock, by: own)
        for message in [nack, chain.ack(second, by: own)] {
            var script = try following()
            #expect(script.machine.mayBeForeign(message))
            _ = script.send(try heard(message))
            #expect(script.machine.halted == .keyUsedElsewhere(height: 2, block: second.hash))
        }
    }

    @Test func aVoteOfItsOwnAndUnknownBlocksStopNobody() throws {
        var script = try following()
        _ = script.send(.executed(second.hash, TestChain.result(second)))
        let other = try chain.block(after: state1, stamp: start + 63_000)
        for message in [
            chain.ack(second, by: own), chain.ack(other, by: own), chain.ack(first, by: own),
            chain.ack(second, by: chain.validators[2]),
        ] {
            #expect(!script.machine.mayBeForeign(message))
            _ = script.send(try heard(message))
        }
        #expect(script.machine.halted == nil)
    }

    @Test func anotherProcessThatAnswersStopsWhoVotes() throws {
        for (key, isValidator) in [
            (own, true), (chain.leader, true), (try PrivateKey.generate(.ed25519), false),
        ] {
            var script = Script(chain, as: key)
            _ = script.send(.answeredInOwnName)
            #expect(script.machine.halted == (isValidator ? .keyHeldElsewhere(key.publicKey) : nil))
        }
    }

    @Test func oldVotesStopNobody() throws {
        // It has not voted below: its disk may be new, and it may have forgotten the vote.
        var script = try following(votes: false)
        _ = script.send(try heard(chain.ack(second, by: own)))
        #expect(script.machine.halted == nil)
        // The clock was set forward after the start, so the block's age is unknown.
        script = Script(chain, as: own)
        script.wallClock = 0
        _ = script.send(.timer)
        script.wallClock = start
        _ = script.send(.timer)
        #expect(script.machine.start.time == start)
    }

    @Test func aCommitWithAVoteThatWasNotGivenStopsTheNode() throws {
        for voters in [Array(chain.validators[0...2]), [chain.validators[0]] + chain.validators[2...3]] {
            var script = try following()
            let commit = try chain.commit(second, voters: voters[...], after: state1)
            _ = script.announce(commit, from: leader)
            _ = script.send(.executed(second.hash, TestChain.result(second)))
            _ = script.send(.committed(second.hash))
            let isForeign = voters.contains { $0.publicKey == own.publicKey }
            #expect((script.machine.halted != nil) == isForeign)
        }
    }

    @Test func aValidatorThatAnswersInTwoWaysIsDoubtedOnce() throws {
        var script = Script(chain, as: chain.leader)
        script.wallClock = start + 61_000
        _ = script.send(.mempool(hasTransactions: true))
        _ = script.send(.built(first))
        let voter = chain.validators[2]
        let nack = AckRes(height: 1, block: first.hash, answer: .invalidBlock, by: voter)
        #expect(
            script.send(.acknowledged(try chain.verified(chain.ack(first, by: voter)), from: leader)) == [])
        #expect(!script.machine.wantsToCheck(chain.ack(first, by: voter), now: .zero))
        #expect(script.machine.wantsToCheck(nack, now: .zero))
        #expect(script.send(.acknowledged(try chain.verified(nack), from: leader)) == ["warn"])
        #expect(!script.machine.wantsToCheck(nack, now: .zero))
        #expect(script.send(.acknowledged(try chain.verified(nack), from: leader)) == [])
    }
}
