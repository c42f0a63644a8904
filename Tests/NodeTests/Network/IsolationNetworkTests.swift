import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import TestSupport
import Testing

@testable import Node

/// The health of nodes whose only peers are strangers.
@Suite(.timeLimit(.minutes(5))) struct IsolationNetworkTests {
    /// A stranger that advertises the chain's protocols makes no isolated node healthy; a validator does.
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
                    await sentry.status().peerCount == 1 ? nil : "the stranger is not connected"
                }
                #expect(await sentry.status().trouble?.contains("shown no block: 1") == true)
                #expect(await !sentry.status().isHealthy)
                await host.stop()
            }
            let boot = try network.bootnode("sentry-1")
            try await network.start("leader") { $0.p2p.bootnodes = [boot] }
            try await LocalNetwork.wait { await sentry.status().isHealthy ? nil : "still alone" }
        }
    }

    /// A node with only strangers as peers is healthy once they have sent a block.
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
