import Bytes
import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Consensus

/// The peers from which a validator fetches a proposed block.
struct FetchingTests {
    let chain: TestChain
    let blocks: [CheckedBlock]

    init() throws {
        let chain = try TestChain(validators: 4)
        self.chain = chain
        blocks = try (1...6).map { try chain.block(after: chain.genesis, stamp: UInt64($0) * 1_000) }
    }

    func peer(_ number: Int) -> PeerID { chain.validators[number].publicKey.peerID }

    func validator() -> Script { Script(chain, as: chain.validators[1]) }

    @Test func othersAreAskedAfterTwoSeconds() throws {
        var script = validator()
        #expect(script.propose(try chain.proposal(blocks[0]), from: peer(2)) == ["fetch proposal 1"])
        #expect(script.wait(.milliseconds(1_999)) == [])
        #expect(script.machine.deadline == .seconds(2))
        #expect(script.wait(.milliseconds(1)) == ["let down 1", "fetch proposal 1 elsewhere"])
        #expect(script.wait(.seconds(5)) == [], "once")
        #expect(
            script.send(.proposalFetched(blocks[0], from: peer(2))) == ["relay 1", "execute 1"],
            "a late block from the announcer is accepted")
    }

    @Test func whatIsArrivingIsWaitedForUpToTenSeconds() throws {
        var script = validator()
        _ = script.propose(try chain.proposal(blocks[0]), from: peer(2))
        for _ in 0..<9 {
            #expect(script.wait(.seconds(1)) == [])
            #expect(script.send(.proposalArriving(blocks[0].hash, from: peer(2))) == [])
        }
        #expect(script.wait(.seconds(1)) == ["fetch proposal 1 elsewhere"])
        #expect(script.machine.validator?.sources.isDoubtful(peer(2), now: script.now) == false)
    }

    @Test func theWholeFailsWhenAllHaveFailed() throws {
        var script = validator()
        _ = script.propose(try chain.proposal(blocks[0]), from: peer(2))
        #expect(script.wait(.seconds(2)) == ["let down 1", "fetch proposal 1 elsewhere"])
        _ = script.fetchFailed(blocks[0].hash, from: peer(2))
        #expect(script.machine.awaits(blocks[0].hash), "the announcer may still send it")
        _ = script.fetchFailed(blocks[0].hash, from: peer(2))
        #expect(!script.machine.awaits(blocks[0].hash))
    }

    @Test func whoLetDownTwiceIsNotFirstUntilThatIsForgiven() throws {
        var script = validator()
        for (times, block) in zip(1...2, blocks) {
            #expect(script.propose(try chain.proposal(block), from: peer(2)) == ["fetch proposal 1"])
            #expect(script.wait(.seconds(2)) == ["let down \(times)", "fetch proposal 1 elsewhere"])
        }
        #expect(
            script.propose(try chain.proposal(blocks[2]), from: peer(2))
                == ["fetch proposal 1 elsewhere"])
        #expect(script.propose(try chain.proposal(blocks[3]), from: peer(3)) == ["fetch proposal 1"])
        script.now += .seconds(601)
        let lines = script.propose(try chain.proposal(blocks[4]), from: peer(2))
        #expect(lines.first == "fetch proposal 1")
    }

    @Test func whoLetDownTwiceIsAskedWhenNobodyElseHasTheBlock() throws {
        var script = validator()
        for block in blocks[0...1] {
            _ = script.propose(try chain.proposal(block), from: peer(2))
            _ = script.fetchFailed(block.hash, from: peer(2))
        }
        let block = blocks[2]
        #expect(
            script.propose(try chain.proposal(block), from: peer(2)) == ["fetch proposal 1 elsewhere"]
        )
        #expect(script.fetchFailed(block.hash, from: peer(2)) == ["fetch proposal 1"])
        var other = script
        #expect(other.send(.proposalFetched(block, from: peer(2))) == ["relay 1", "execute 1"])
        #expect(script.wait(.seconds(2)) == ["let down 3"], "others were asked before")
        #expect(script.fetchFailed(block.hash, from: peer(2)) == [])
        #expect(!script.machine.awaits(block.hash))
    }

    // MARK: Unsigned fields

    /// Returns a proposal that any peer can make with a block of the leader's: all fields but the hash are invented.
    func replayed(_ block: CheckedBlock, stamp: Int64 = .max) throws -> VerifiedProposal {
        let lie = BlockProposal(
            height: 1, hash: block.hash, previousHash: .zero, stamp: stamp,
            leaderSignature: block.block.signature, senderKey: SharedBytes())
        return try VerifiedProposal(verifying: lie, leader: chain.leader.publicKey)
    }

    @Test func aReplayedSignatureKeepsNobodyOut() throws {
        let stranger = chain.sentry.publicKey.peerID
        for source in [stranger, peer(3)] {
            for wait in [Duration.zero, .seconds(2)] {
                var script = validator()
                #expect(script.propose(try replayed(blocks[5]), from: source) == ["fetch proposal 1"])
                _ = script.wait(wait)
                let proposal = try chain.proposal(blocks[0])
                for honest in [peer(0), peer(2)] {
                    #expect(script.machine.wantsToCheck(proposal.proposal, from: honest, now: script.now))
                    var other = script
                    #expect(other.propose(proposal, from: honest) == ["fetch proposal 1"])
                    #expect(
                        other.send(.proposalFetched(blocks[0], from: honest)) == ["relay 1", "execute 1"])
                }
            }
        }
    }

    @Test func aReplayedSignatureDoesNotHideTheNextHeight() throws {
        var script = validator()
        _ = script.propose(try chain.proposal(blocks[0]), from: peer(0))
        let stranger = chain.sentry.publicKey.peerID
        _ = script.propose(try replayed(blocks[5]), from: stranger)
        let commit = try chain.commit(blocks[0])
        let state = try chain.genesis.after(blocks[0].header, hash: blocks[0].hash, commit: commit.info)
        let next = try chain.block(after: state, stamp: 9_000)
        #expect(script.propose(try chain.proposal(next), from: peer(0)) == ["fetch proposal 2"])
    }

    @Test func aLieAboutTheLeadersBlockIsTheLiarsLoss() throws {
        var script = validator()
        let stranger = chain.sentry.publicKey.peerID
        #expect(script.propose(try replayed(blocks[0]), from: stranger) == ["fetch proposal 1"])
        #expect(script.propose(try chain.proposal(blocks[0]), from: peer(0)) == ["fetch proposal 1"])
        #expect(
            script.send(.proposalFetched(blocks[0], from: stranger)) == [
                "relay 1", "misbehaved", "execute 1",
            ])
        #expect(script.machine.current.stamp == 1_000)
    }

    @Test func strangersTogetherHaveTwoPlaces() throws {
        var script = validator()
        for (number, block) in blocks.enumerated() {
            let stranger = try TestChain.key(101 + number).publicKey.peerID
            let lines = script.propose(try replayed(block), from: stranger)
            #expect(lines == (number < 2 ? ["fetch proposal 1"] : []))
            #expect(script.machine.wantsToCheck(try replayed(block).proposal, from: peer(0), now: .zero))
        }
        #expect(script.machine.current.offers.count == 2)
    }

    @Test func aLiesStampRefusesNothing() throws {
        var script = validator()
        let stranger = chain.sentry.publicKey.peerID
        _ = script.propose(try replayed(blocks[0]), from: stranger)
        #expect(script.send(.proposalInvalid(blocks[0].block, reason: "a test")) == [])
        #expect(script.machine.votes.last == nil)
        _ = script.propose(try chain.proposal(blocks[0]), from: peer(2))
        #expect(
            script.send(.proposalInvalid(blocks[0].block, reason: "a test")) == [
                "warn", "vote 1 invalid block",
            ])
        #expect(script.machine.votes.last?.stamp == 1_000)
    }

    // MARK: Commits

    @Test func aCommittedBlockThatIsArrivingIsNotRequestedAgain() throws {
        let (block, commit) = (blocks[0], try chain.commit(blocks[0]))
        var script = validator()
        _ = script.propose(try chain.proposal(block), from: peer(0))
        #expect(script.wait(.seconds(1)) == [])
        #expect(script.announce(commit, from: peer(0)) == [])
        for _ in 0..<3 {
            #expect(script.send(.proposalArriving(block.hash, from: peer(0))) == [])
            #expect(script.wait(.seconds(1)) == [])
        }
        #expect(script.send(.proposalFetched(block, from: peer(0))) == ["relay 1", "execute 1"])
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["commit 1 votes 4"])
    }

    @Test func theNextCommittedBlockIsNotRequestedAgainEither() throws {
        let commit = try chain.commit(blocks[0])
        let state = try chain.genesis.after(blocks[0].header, hash: blocks[0].hash, commit: commit.info)
        let next = try chain.block(after: state, stamp: 9_000)
        var script = validator()
        _ = script.propose(try chain.proposal(blocks[0]), from: peer(0))
        _ = script.send(.proposalFetched(blocks[0], from: peer(0)))
        #expect(script.propose(try chain.proposal(next), from: peer(0)) == ["fetch proposal 2"])
        #expect(script.announce(commit, from: peer(0)) == [])
        #expect(script.announce(try chain.commit(next), from: peer(0)) == [])
        #expect(script.send(.proposalFetched(next, from: peer(0))) == ["relay 2"])
        #expect(
            script.send(.executed(blocks[0].hash, TestChain.result(blocks[0]))) == ["commit 1 votes 4"])
        #expect(
            script.send(.committed(blocks[0].hash)) == ["execute 2"], "the next one is announced")
        #expect(script.send(.executed(next.hash, TestChain.result(next))) == ["commit 2 votes 4"])
    }

    @Test func aCommittedBlockThatNoLongerArrivesIsRequestedFromOthers() throws {
        let (block, commit) = (blocks[0], try chain.commit(blocks[0]))
        var script = validator()
        _ = script.propose(try chain.proposal(block), from: peer(0))
        #expect(script.announce(commit, from: peer(2)) == [])
        var (failed, invalid, slow) = (script, script, script)
        #expect(script.wait(.seconds(2)) == ["catch up to 1", "fetch proposal 1 elsewhere"])
        #expect(script.send(.proposalFetched(block, from: peer(0))) == ["relay 1", "execute 1"], "late")
        let lines = failed.fetchFailed(block.hash, from: peer(0))
        #expect(lines == ["fetch proposal 1 elsewhere", "catch up to 1"])
        #expect(
            invalid.send(.proposalInvalid(block.block, reason: "a test")).contains("catch up to 1"))
        for _ in 0..<9 {
            #expect(slow.wait(.seconds(1)) == [])
            #expect(slow.send(.proposalArriving(block.hash, from: peer(0))) == [])
        }
        #expect(slow.wait(.seconds(1)) == ["catch up to 1", "fetch proposal 1 elsewhere"])
    }

    /// Any other peer may hold the block back.
    @Test func onlyTheLeaderIsWaitedForWithACommittedBlock() throws {
        for source in [peer(2), chain.sentry.publicKey.peerID] {
            var script = validator()
            _ = script.propose(try chain.proposal(blocks[0]), from: source)
            #expect(script.announce(try chain.commit(blocks[0]), from: peer(0)) == ["fetch decided 1"])
        }
    }

    @Test func theLeaderIsAlwaysAsked() throws {
        var script = validator()
        for block in blocks[0...2] {
            #expect(script.propose(try chain.proposal(block), from: peer(0)) == ["fetch proposal 1"])
            #expect(script.wait(.seconds(2)) == ["fetch proposal 1 elsewhere"], "and not blamed")
        }
    }
}
