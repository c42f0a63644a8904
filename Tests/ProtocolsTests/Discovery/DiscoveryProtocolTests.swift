import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import Testing

@ReactorActor
final class Directory: PeerDirectory {
    let chainID = "c"
    var known: [DiscoveredPeer]?

    init(_ known: [DiscoveredPeer]?) { self.known = known }

    func peers(toTell peer: PeerID) -> [DiscoveredPeer]? { known }
}

@Suite struct DiscoveryProtocolTests {
    static func peer() throws -> DiscoveredPeer {
        DiscoveredPeer(
            id: try Network.key(5).publicKey.peerID, addresses: [try Multiaddr("/ip4/10.0.0.1/tcp/6600")],
            protocols: [TransactionProtocol.id])
    }

    @Test(arguments: [true, false]) func peersInBothDialects(onChain: Bool) async throws {
        try await Reactor.run {
            let directory = Directory([try Self.peer()])
            let chain = onChain ? [KwilProtocol.chain("c")] : []
            let network = try await Network(advertisedByA: chain, advertisedByB: chain) { _, b in
                b.register(DiscoveryProtocol(directory, host: b))
            }
            func request(_ chainID: String) async throws -> [DiscoveredPeer] {
                try await DiscoveryProtocol.request(from: network.b.peerID, chainID: chainID, on: network.a)
            }
            #expect(try await request("c") == directory.known)
            if onChain { await #expect(throws: ProtocolsError.self) { _ = try await request("other") } }
            directory.known = nil
            #expect(try await request("c").isEmpty)
            await network.stop()
        }
    }

    @Test func binaryBeforeIdentify() async throws {
        try await Reactor.run {
            let chain = KwilProtocol.chain("c")
            let a = try Network.host(1, [chain])
            let b = try Network.host(2, [chain])
            let directory = Directory([try Self.peer()])
            b.register(DiscoveryProtocol(directory, host: b))
            try a.start()
            try b.start()
            let address = try #require(b.listenAddresses.first)
            let peer = try await a.connect(address)
            let stream = try await a.newStream(peer, [DiscoveryProtocol.id])
            stream.closeWrite()
            stream.setTimeout(.seconds(20))
            let answer = try await stream.readToEnd(limit: 1 << 16)
            #expect(String(decoding: answer, as: UTF8.self).hasPrefix(#"{"chain_id":"c","peers":[{"#))
            await a.stop()
            await b.stop()
        }
    }

    @Test func textOnTheWire() async throws {
        try await Reactor.run {
            let directory = Directory([try Self.peer()])
            let network = try await Network { _, b in
                b.register(DiscoveryProtocol(directory, host: b))
            }
            let answer = try await network.answer(DiscoveryProtocol.id, to: Array("discover_peers\n".utf8))
            let id = try Self.peer().id
            #expect(
                String(decoding: answer, as: UTF8.self)
                    == #"[{"addrs":["/ip4/10.0.0.1/tcp/6600"],"id":"\#(id)","protos":["/kwil/tx/1.0.0"]}]"#
                    + "\n")
            await network.stop()
        }
    }

    @Test func answersInAnyCase() async throws {
        try await Reactor.run {
            let id = try Self.peer().id
            let network = try await Network { _, b in
                b.register(DiscoveryProtocol.id) { stream in
                    let text =
                        #"[{"ID":"\#(id)","Addrs":["/ip4/10.0.0.1/tcp/6600","nonsense"],"Protos":null},{"id":"?"}]"#
                    try? await stream.write(Array(text.utf8))
                }
            }
            let peers = try await DiscoveryProtocol.request(
                from: network.b.peerID, chainID: "c", on: network.a)
            #expect(peers.map(\.id) == [id])
            #expect(peers.first?.addresses == (try Self.peer().addresses))
            await network.stop()
        }
    }

    @Test func traits() {
        #expect(PeerTraits([KwilProtocol.chain("x"), KwilProtocol.crawler]).chainID == "x")
        #expect(PeerTraits([KwilProtocol.crawler]).isCrawler)
        #expect(
            PeerTraits([KwilProtocol.chain("x"), TransactionBatchProtocol.id]).transactionDialect == .text
        )
        #expect(PeerTraits([KwilProtocol.chain("x")]).transactionDialect == .binary)
        #expect(PeerTraits([]).transactionDialect == .text)
        let process = ProcessID(1, .max)
        #expect("\(process)" == "0000000000000001ffffffffffffffff")
        #expect(PeerTraits([KwilProtocol.process(process)]).process == process)
        for text in ["", "0", "00000000000000010000000000000002aa", "z000000000000001ffffffffffffffff"] {
            #expect(PeerTraits([ProtocolID("/apus/process/1.0.0/\(text)")]).process == nil)
        }
    }
}
