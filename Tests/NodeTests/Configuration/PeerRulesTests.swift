import Crypto
import LibP2P
import Multiformats
import Peers
import TestSupport
import Testing

@testable import Node

@Suite struct PeerRulesTests {
    private static func key(_ seed: UInt8) throws -> PrivateKey {
        try TestChain.key(seed)
    }

    @Test func everyKeyIsRead() throws {
        let keys = try (1...6).map { try Self.key($0).publicKey }
        var configuration = Configuration.P2P()
        configuration.bootnodes = [
            "\(keys[0].nodeID)@192.0.2.1:6600", "/dns4/example.org/tcp/6600/p2p/\(keys[0].peerID)",
        ]
        configuration.sentries = [keys[1].nodeID, "\(keys[2].nodeID)@[2001:db8::1]:6600"]
        configuration.whitelist = [keys[3].peerID.description]
        configuration.privatePeers = [keys[4].nodeID]
        configuration.blocklist = [keys[5].nodeID, "192.0.2.9", "2001:db8::/32"]
        configuration.isPrivate = true
        let rules = try PeerRules(configuration, own: try Self.key(9).publicKey.peerID)
        #expect(Array(rules.kept.keys) == [keys[0].peerID, keys[2].peerID])
        #expect(
            rules.kept[keys[0].peerID]?.map(\.description)
                == ["/ip4/192.0.2.1/tcp/6600", "/dns4/example.org/tcp/6600"])
        #expect(rules.named == [keys[0].peerID, keys[1].peerID, keys[2].peerID, keys[3].peerID])
        #expect(rules.hidden == [keys[4].peerID])
        #expect(rules.blocked.contains(keys[5].peerID))
        #expect(rules.blocked.contains(IP("192.0.2.9")) && !rules.blocked.contains(IP("192.0.2.8")))
        #expect(rules.blocked.contains(IP("2001:db8:9::1")))
        #expect(rules.isPrivate)
    }

    @Test func whatCannotBeReadIsNamed() throws {
        let own = try Self.key(9).publicKey.peerID
        let id = try Self.key(1).publicKey.nodeID
        let table: [(WritableKeyPath<Configuration.P2P, [String]>, String, String)] = [
            (\.bootnodes, "nobody", "p2p.bootnodes: "), (\.bootnodes, id, "p2p.bootnodes: "),
            (\.bootnodes, "/ip4/192.0.2.1/tcp/1", "p2p.bootnodes: "),
            (\.sentries, "\(id)@host", "p2p.sentries: "),
            (\.whitelist, "", "p2p.whitelist: "), (\.privatePeers, "12D3Koo", "p2p.private_peers: "),
            (\.blocklist, "10.0.0.1/8", "p2p.blocklist: "),
        ]
        for (key, text, start) in table {
            var configuration = Configuration.P2P()
            configuration[keyPath: key] = [text]
            let error = #expect(throws: NodeError.self) { try PeerRules(configuration, own: own) }
            #expect(
                "\(error.map { "\($0)" } ?? "")".hasPrefix(start), "\(text): \(error.map { "\($0)" } ?? "")")
        }
    }
}
