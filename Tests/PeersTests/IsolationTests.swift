import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import TestSupport
import Testing

@testable import Peers

/// A node without a peer of its chain does not report itself healthy.
@Suite(.timeLimit(.minutes(5))) struct IsolationTests {
    private static func peer(_ seed: UInt8) throws -> PeerID {
        try TestChain.key(seed).publicKey.peerID
    }

    @Test func withoutAPeerOfTheChainNothingIsKnown() throws {
        var isolation = Isolation()
        #expect(isolation.reason(makesBlocksAlone: false, now: .zero) != nil)
        isolation.members([], isKnown: { _ in true }, now: .seconds(1))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_000)) != nil)
        isolation.met(foreign: "of the chain other")
        let reason = try #require(isolation.reason(makesBlocksAlone: false, now: .seconds(1_000)))
        #expect(reason.contains("of the chain other"))
        isolation.members([try Self.peer(1)], isKnown: { _ in true }, now: .seconds(1_001))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_001)) == nil)
    }

    @Test func aWhileWithoutPeersIsNoIsolation() throws {
        var isolation = Isolation()
        let peers = [try Self.peer(1), try Self.peer(2)]
        isolation.members(peers, isKnown: { _ in true }, now: .zero)
        isolation.members(peers.prefix(1), isKnown: { _ in true }, now: .seconds(100))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_000)) == nil)
        isolation.members([], isKnown: { _ in true }, now: .seconds(1_000))
        isolation.members([], isKnown: { _ in true }, now: .seconds(1_030))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_059)) == nil)
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_060)) != nil)
        isolation.members(peers, isKnown: { _ in true }, now: .seconds(2_000))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(2_000)) == nil)
    }

    @Test func aStrangerCountsOnceItHasShownABlock() throws {
        var isolation = Isolation()
        let (one, other) = (try Self.peer(1), try Self.peer(2))
        isolation.members([one, other], isKnown: { _ in false }, now: .zero)
        let reason = try #require(isolation.reason(makesBlocksAlone: false, now: .seconds(1_000)))
        #expect(reason.contains("shown no block: 2"))
        isolation.proved(one)
        isolation.members([one, other], isKnown: { _ in false }, now: .seconds(1_000))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_000)) == nil)
        // The other peer has shown nothing, and a peer that reconnects starts anew.
        isolation.left(one)
        isolation.members([other], isKnown: { _ in false }, now: .seconds(2_000))
        isolation.members([one, other], isKnown: { _ in false }, now: .seconds(2_001))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(2_060)) != nil)
    }

    @Test func aNodeThatMakesBlocksAloneNeedsNoPeer() {
        #expect(Isolation().reason(makesBlocksAlone: true, now: .seconds(1_000)) == nil)
    }
}
