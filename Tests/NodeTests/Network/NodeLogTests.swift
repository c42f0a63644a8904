import Chain
import Crypto
import LibP2P
import Log
import Multiformats
import Peers
import Protocols
import Reactor
import Testing

@testable import Node

/// What a node logs about its peers.
@Suite(.timeLimit(.minutes(5))) struct NodeLogTests {
    /// An agent version that imitates a log line and contains terminal commands remains one value on one line. The end
    /// of the connection is logged with its reason.
    @Test func textOfAPeerStaysAValue() async throws {
        let lines = LogLines()
        let agent = "x \u{1b}[2J\r\n20:00:00.000 critical node: consensus stopped \u{202e}\u{9b}31m"
        try await LocalNetwork.run(validators: 0, sentries: 0) { network in
            let node = try await network.start("leader", log: Log(source: "node", level: .trace, sink: lines))
            let peer = try network.key("leader").publicKey.peerID
            let address = try Multiaddr(try #require(await node.status().listenAddresses.first))
            try await Reactor.run {
                var configuration = HostConfiguration(identity: try PrivateKey.generate(.ed25519))
                configuration.agentVersion = agent
                let host = Host(configuration)
                host.advertise(KwilProtocol.chain(LocalNetwork.chainID))
                try host.start()
                _ = try await host.connect(peer, [address.withoutPeerID])
                try await LocalNetwork.wait { lines.having("peer connected") == nil ? "not connected" : nil }
                await host.stop()
            }
            try await LocalNetwork.wait {
                lines.having("peer disconnected") == nil ? "not disconnected" : nil
            }
        }
        #expect(
            lines.having("peer connected")?.hasSuffix(
                #" agent="x \x1b[2J\r\n20:00:00.000 critical node: consensus stopped \u{202e}\u{9b}31m""#)
                == true)
        #expect(
            lines.having("peer disconnected")?.contains(" reason=\"the peer closed the connection\"") == true)
        for line in lines.all {
            #expect(line.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
            #expect(line.starts(with: "20".utf8) && line.firstIndex(of: UInt8(ascii: "Z")) == 26)
        }
    }

    /// A node warns, with both figures, of a mempool that is smaller than a block's largest transaction.
    @Test func aSmallMempoolIsWarnedOf() async throws {
        let lines = LogLines()
        try await LocalNetwork.run(validators: 0, sentries: 0) { network in
            let limit = network.genesis.parameters.transactionLimit
            try await network.start("leader", log: Log(source: "node", level: .info, sink: lines)) {
                $0.mempool.maxSize = limit
            }
            #expect(lines.having("mempool.max_size") == nil)
            await network.stop("leader")
            try await network.start("leader", log: Log(source: "node", level: .info, sink: lines)) {
                $0.mempool.maxSize = limit - 1
            }
            let line = try #require(lines.having("warning node: mempool.max_size is too small"))
            #expect(line.contains("mempool.max_size=\(limit - 1) "))
            #expect(line.hasSuffix("transaction_size=\(limit)"))
        }
    }

    /// Identities cost nothing: however many peers come from a chain with the same ID, few are logged.
    @Test func linesAboutNamesakesAreBounded() async throws {
        let lines = LogLines()
        try await LocalNetwork.run(validators: 0, sentries: 0) { network in
            let node = try await network.start("leader", log: Log(source: "node", level: .info, sink: lines))
            let peer = try network.key("leader").publicKey.peerID
            let address = try Multiaddr(try #require(await node.status().listenAddresses.first))
            try await Reactor.run {
                var hosts: [Host] = []
                for number in 0..<UInt8(PeerService.namedAtOnce + 4) {
                    let host = Host(HostConfiguration(identity: try PrivateKey.generate(.ed25519)))
                    host.advertise(KwilProtocol.chain(LocalNetwork.chainID))
                    host.advertise(KwilProtocol.genesis(.sha256(of: [number])))
                    try host.start()
                    _ = try await host.connect(peer, [address.withoutPeerID])
                    hosts.append(host)
                }
                try await LocalNetwork.wait {
                    lines.count("its chain has the same ID") == hosts.count ? nil : "some stayed"
                }
                for host in hosts { await host.stop() }
            }
        }
        #expect(lines.count("one of the two nodes has the wrong genesis.json") == PeerService.namedAtOnce)
    }
}
