import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import TestSupport
import Testing

@testable import Node

/// A node that knows nobody of its chain does not say that all is well.
@Suite(.timeLimit(.minutes(5))) struct IsolationTests {
    private static func peer(_ seed: UInt8) throws -> PeerID {
        try PrivateKey(ed25519Seed: [UInt8](repeating: seed, count: 32)).publicKey.peerID
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
        #expect(reason.contains("2 connected that say so"))
        isolation.proved(one)
        isolation.members([one, other], isKnown: { _ in false }, now: .seconds(1_000))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_000)) == nil)
        // The other has shown nothing; and who comes back begins anew.
        isolation.left(one)
        isolation.members([other], isKnown: { _ in false }, now: .seconds(2_000))
        isolation.members([one, other], isKnown: { _ in false }, now: .seconds(2_001))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(2_060)) != nil)
    }

    @Test func whoMakesBlocksAloneNeedsNobody() {
        #expect(Isolation().reason(makesBlocksAlone: true, now: .seconds(1_000)) == nil)
    }

    /// A stranger that lists the chain's protocols makes no lonely node healthy; a validator does.
    @Test func whatAStrangerListsIsNoSignOfLife() async throws {
        try await LocalNetwork.run(validators: 0, sentries: 1) { network in
            let sentry = try await network.start("sentry-1")
            let id = try network.key("sentry-1").publicKey.peerID
            let address = try Multiaddr(try #require(await sentry.status().listenAddresses.first))
            try await Reactor.run {
                let host = Host(HostConfiguration(identity: try PrivateKey.generate(.ed25519)))
                host.advertise(KwilProtocol.chain(LocalNetwork.chainID))
                try host.start()
                _ = try await host.connect(id, [address.withoutPeerID])
                try await LocalNetwork.wait {
                    await sentry.status().peerCount == 1 ? nil : "the stranger is not there"
                }
                #expect(await sentry.status().trouble?.contains("1 connected that say so") == true)
                #expect(await !sentry.status().isHealthy)
                await host.stop()
            }
            let boot = try network.bootnode("sentry-1")
            try await network.start("leader") { $0.p2p.bootnodes = [boot] }
            try await LocalNetwork.wait { await sentry.status().isHealthy ? nil : "still alone" }
        }
    }

    /// Behind strangers alone a node is healthy once they have brought a block.
    @Test func blocksThatStrangersBringAreASignOfLife() async throws {
        try await LocalNetwork.run(validators: 0, sentries: 2) { network in
            let behind = try await network.start("sentry-1") { $0.p2p.pex = false }
            try await network.start("leader") {
                $0.p2p.bootnodes = []
                $0.p2p.pex = false
            }
            let boots = [try network.bootnode("leader"), try network.bootnode("sentry-1")]
            try await network.start("sentry-2") {
                $0.p2p.bootnodes = boots
                $0.p2p.pex = false
            }
            try await LocalNetwork.wait { await behind.status().peerCount == 1 ? nil : "no peer" }
            #expect(await !behind.status().isHealthy)
            try await network.commit(LocalNetwork.createTable, at: "leader")
            try await LocalNetwork.wait { await behind.status().isHealthy ? nil : "still alone" }
            try await LocalNetwork.wait { await behind.status().height == 1 ? nil : "no block" }
        }
    }
}
