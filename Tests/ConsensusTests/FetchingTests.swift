import Chain
import Crypto
import Multiformats
import Testing

@testable import Consensus

/// From whom a validator takes a proposed block.
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
        #expect(script.send(.proposed(try chain.proposal(blocks[0]), from: peer(2))) == ["fetch proposal 1"])
        #expect(script.wait(.milliseconds(1_999)) == [])
        #expect(script.machine.deadline == .seconds(2))
        #expect(script.wait(.milliseconds(1)) == ["fetch proposal 1 elsewhere"])
        #expect(script.wait(.seconds(5)) == [], "once")
        #expect(
            script.send(.proposalFetched(blocks[0], from: peer(2))) == ["relay 1", "execute 1"],
            "what the first one sends after all is taken")
    }

    @Test func whatIsArrivingIsWaitedForUpToTenSeconds() throws {
        var script = validator()
        _ = script.send(.proposed(try chain.proposal(blocks[0]), from: peer(2)))
        for _ in 0..<9 {
            #expect(script.wait(.seconds(1)) == [])
            #expect(script.send(.proposalArriving(blocks[0].hash, from: peer(2))) == [])
        }
        #expect(script.wait(.seconds(1)) == ["fetch proposal 1 elsewhere"])
        #expect(!script.machine.sources.isDoubtful(peer(2), now: script.now))
    }

    @Test func theWholeFailsWhenAllHaveFailed() throws {
        var script = validator()
        _ = script.send(.proposed(try chain.proposal(blocks[0]), from: peer(2)))
        #expect(script.wait(.seconds(2)) == ["fetch proposal 1 elsewhere"])
        _ = script.send(.proposalFetchFailed(blocks[0].hash, from: peer(2)))
        #expect(script.machine.awaits(blocks[0].hash), "the announcer may still send it")
        _ = script.send(.proposalFetchFailed(blocks[0].hash, from: peer(2)))
        #expect(!script.machine.awaits(blocks[0].hash))
    }

    @Test func whoLetDownTwiceIsNotFirstUntilThatIsForgiven() throws {
        var script = validator()
        for block in blocks[0...1] {
            #expect(script.send(.proposed(try chain.proposal(block), from: peer(2))) == ["fetch proposal 1"])
            #expect(script.wait(.seconds(2)) == ["fetch proposal 1 elsewhere"])
        }
        #expect(
            script.send(.proposed(try chain.proposal(blocks[2]), from: peer(2)))
                == ["fetch proposal 1 elsewhere"])
        #expect(script.send(.proposed(try chain.proposal(blocks[3]), from: peer(3))) == ["fetch proposal 1"])
        script.now += .seconds(601)
        #expect(script.send(.proposed(try chain.proposal(blocks[4]), from: peer(2))) == ["fetch proposal 1"])
    }

    @Test func theLeaderIsAlwaysAsked() throws {
        var script = validator()
        for block in blocks[0...2] {
            #expect(script.send(.proposed(try chain.proposal(block), from: peer(0))) == ["fetch proposal 1"])
            #expect(script.wait(.seconds(2)) == ["fetch proposal 1 elsewhere"])
        }
    }
}
