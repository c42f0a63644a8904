import Bytes
import Crypto
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import LibP2P

/// Hosts that gossip over connections in memory, in virtual time.
@Suite struct GossipsubTests {
    /// A host with its gossip and the messages received.
    @ReactorActor
    private final class Node {
        let key: PrivateKey
        let host: Host
        let gossip: Gossipsub
        private(set) var received: [String] = []
        private(set) var authors: [PeerID] = []

        init(_ port: Int, key: PrivateKey? = nil) throws {
            self.key = try key ?? PrivateKey.generate(port % 2 == 0 ? .ed25519 : .secp256k1)
            host = Host(
                HostConfiguration(
                    identity: self.key, listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/\(port)")]))
            try host.start()
            gossip = Gossipsub(host, firstSequence: 1)
        }

        func subscribe(_ topic: RawText = "t", validator: Gossipsub.Validator? = nil) {
            gossip.subscribe(topic, validator: validator) { [weak self] message, _ in
                self?.received.append(String(decoding: message.data.array, as: UTF8.self))
                self?.authors.append(message.author)
            }
        }

        func publish(_ text: String, _ topic: RawText = "t") throws {
            try gossip.publish(topic, Array(text.utf8))
        }

        func connect(_ other: Node) async throws {
            guard let address = other.host.listenAddresses.first else { throw LibP2PError.notRunning }
            _ = try await host.connect(address.appending(.p2p(other.host.peerID)))
        }

        func stop() async {
            gossip.stop()
            await host.stop()
        }
    }

    /// Runs `body` with `count` nodes, and stops them.
    private func run(
        _ count: Int, _ body: @escaping @ReactorActor @Sendable ([Node]) async throws -> Void
    ) throws {
        try MemoryNetwork.run(seed: 7, latency: .milliseconds(10)) {
            let nodes = try (0..<count).map { try Node(6_000 + $0) }
            do {
                try await body(nodes)
            } catch {
                for node in nodes { await node.stop() }
                throw error
            }
            for node in nodes { await node.stop() }
        }
    }

    @Test func twoHostsHearEachOther() throws {
        try run(2) { nodes in
            for node in nodes { node.subscribe() }
            try await nodes[0].connect(nodes[1])
            try await Reactor.sleep(for: .seconds(1))
            #expect(nodes[0].gossip.mesh("t") == [nodes[1].host.peerID])
            #expect(nodes[1].gossip.mesh("t") == [nodes[0].host.peerID])
            try nodes[0].publish("from 0")
            try nodes[1].publish("from 1")
            try await Reactor.sleep(for: .seconds(1))
            #expect(nodes[0].received == ["from 1"])
            #expect(nodes[1].received == ["from 0"])
            #expect(nodes[1].authors == [nodes[0].host.peerID])
        }
    }

    @Test func messagesCrossHostsInBetween() throws {
        try run(5) { nodes in
            for node in nodes { node.subscribe() }
            for index in 1..<5 { try await nodes[index].connect(nodes[index - 1]) }
            try await Reactor.sleep(for: .seconds(2))
            try nodes[0].publish("along the line")
            try await Reactor.sleep(for: .seconds(2))
            for node in nodes.dropFirst() { #expect(node.received == ["along the line"]) }
            #expect(nodes[0].received == [])
        }
    }

    @Test func topicsJoinedAndLeftLaterCount() throws {
        try run(2) { nodes in
            try await nodes[0].connect(nodes[1])
            try await Reactor.sleep(for: .seconds(1))
            nodes[1].subscribe()
            try await Reactor.sleep(for: .seconds(1))
            #expect(nodes[0].gossip.subscribers("t") == [nodes[1].host.peerID])
            try nodes[0].publish("one")
            try await Reactor.sleep(for: .seconds(1))
            nodes[1].gossip.unsubscribe("t")
            try await Reactor.sleep(for: .seconds(1))
            try nodes[0].publish("two")
            try await Reactor.sleep(for: .seconds(3))
            #expect(nodes[1].received == ["one"])
            #expect(nodes[0].gossip.subscribers("t") == [])
        }
    }

    @Test func whatAValidatorRefusesIsNotPassedOnAndItsAuthorReported() throws {
        try run(3) { nodes in
            var reports: [String] = []
            for node in nodes[1...] {
                node.host.observe {
                    if case .misbehaved(let peer, let what) = $0 { reports.append("\(peer) \(what)") }
                }
            }
            nodes[0].subscribe()
            nodes[1].subscribe { message, _ in
                // A validator may suspend.
                guard (try? await Reactor.sleep(for: .milliseconds(200))) != nil else { return .ignore }
                return message.data.array == Array("good".utf8) ? .accept : .reject
            }
            nodes[2].subscribe()
            try await nodes[0].connect(nodes[1])
            try await nodes[2].connect(nodes[1])
            try await Reactor.sleep(for: .seconds(2))
            try nodes[0].publish("bad")
            try nodes[0].publish("good")
            try await Reactor.sleep(for: .seconds(5))
            #expect(nodes[1].received == ["good"])
            #expect(nodes[2].received == ["good"])
            #expect(reports == ["\(nodes[0].host.peerID) malformed"])
        }
    }

    @Test func aPeerThatComesBackIsHeardAgain() throws {
        try run(2) { nodes in
            for node in nodes { node.subscribe() }
            try await nodes[0].connect(nodes[1])
            try await Reactor.sleep(for: .seconds(1))
            nodes[0].host.disconnect(nodes[1].host.peerID)
            try await Reactor.sleep(for: .seconds(1))
            #expect(nodes[0].gossip.mesh("t") == [] && nodes[1].gossip.mesh("t") == [])
            try await nodes[1].connect(nodes[0])
            try await Reactor.sleep(for: .seconds(1))
            try nodes[1].publish("again")
            try await Reactor.sleep(for: .seconds(1))
            #expect(nodes[0].received == ["again"])
        }
    }

    /// Another process with the same key replaces the earlier one: gossip moves to it without a pause.
    @Test func gossipFollowsAPeerToItsNewConnection() throws {
        try run(1) { nodes in
            let key = try PrivateKey.generate(.ed25519)
            let processes = try (0..<2).map { try Node(6_001 + $0, key: key) }
            for node in nodes + processes { node.subscribe() }
            try await processes[0].connect(nodes[0])
            try await Reactor.sleep(for: .seconds(20))
            try await processes[1].connect(nodes[0])
            try await Reactor.sleep(for: .milliseconds(200))
            nodes[0].host.closeFormer(of: key.publicKey.peerID)
            try nodes[0].publish("to whom it may concern")
            try await Reactor.sleep(for: .milliseconds(200))
            #expect(processes.map(\.received) == [[], ["to whom it may concern"]])
            #expect(processes[0].host.connectedPeers == [])
            // A peer can be sent even a message in its own name.
            var foreign: [GossipMessage] = []
            processes[1].gossip.subscribe("t") { _, _ in
            } foreign: { message, _ in
                foreign.append(message)
            }
            let message = GossipMessage(topic: "t", data: [1], sequence: 77, author: key)
            nodes[0].gossip.bring(message.copy, to: key.publicKey.peerID)
            try await Reactor.sleep(for: .milliseconds(200))
            #expect(foreign == [message])
            for process in processes { await process.stop() }
        }
    }

    @Test func aBrokenStreamIsOpenedAgain() throws {
        try run(2) { nodes in
            nodes[1].subscribe()
            // The other side accepts the first stream and resets it.
            nodes[0].gossip.stop()
            var streams = 0
            var told: [GossipRPC] = []
            nodes[0].host.register(.meshsub11) { stream in
                streams += 1
                guard streams > 1 else { return stream.reset() }
                guard let length = try? await stream.readExactly(1).first,
                    let bytes = try? await stream.readShared(Int(length)),
                    let rpc = try? GossipRPC(decoding: bytes)
                else { return }
                told.append(rpc)
            }
            try await nodes[0].connect(nodes[1])
            try await Reactor.sleep(for: .seconds(10))
            #expect(streams >= 2)
            #expect(told.first?.subscriptions == [.init(subscribe: true, topic: "t")])
        }
    }

    @Test func forgedMessagesAreNotDelivered() throws {
        try run(2) { nodes in
            nodes[0].subscribe()
            nodes[1].gossip.stop()
            try await nodes[1].connect(nodes[0])
            let message = GossipMessage(
                topic: "t", data: Array("true".utf8), sequence: 1, author: nodes[1].key)
            var bytes = message.encoded.array
            // The data is field 2, four bytes long.
            let start = try #require(
                bytes.indices.first { bytes[$0...].starts(with: [0x12, 4] + Array("true".utf8)) })
            bytes.replaceSubrange((start + 2)..<(start + 6), with: Array("lies".utf8))
            var rpc = GossipRPC()
            rpc.messages = [try GossipMessage(decoding: SharedBytes(bytes)), message]
            let stream = try await nodes[1].host.newStream(nodes[0].host.peerID, [.meshsub11])
            try await stream.write(rpc.encoded)
            try await Reactor.sleep(for: .seconds(1))
            #expect(nodes[0].received == ["true"])
        }
    }

    @Test(
        arguments: [
            [0xff, 0xff, 0xff, 0xff, 0xff], [0x80, 0x80, 0x41], [3, 0xff, 0xff, 0xff], [2, 0x0a, 9],
        ] as [[UInt8]]) func garbageEndsTheStreamAndNothingElse(_ bytes: [UInt8]) throws
    {
        try run(2) { nodes in
            nodes[0].subscribe()
            nodes[1].gossip.stop()
            try await nodes[1].connect(nodes[0])
            let stream = try await nodes[1].host.newStream(nodes[0].host.peerID, [.meshsub11])
            try await stream.write(bytes)
            await #expect(throws: LibP2PError.streamReset) { try await stream.read(upTo: 1) }
            #expect(nodes[1].host.connectedPeers == [nodes[0].host.peerID])
        }
    }

    @Test func whatCannotBePublishedIsRefused() throws {
        try run(1) { nodes in
            let long = [UInt8](repeating: 0, count: GossipRPC.maximumSize)
            #expect(throws: LibP2PError.self) { try nodes[0].gossip.publish("t", long) }
            #expect(throws: LibP2PError.self) { try nodes[0].gossip.publish("", [1]) }
            #expect(throws: LibP2PError.self) {
                try nodes[0].gossip.publish(RawText(String(repeating: "t", count: 257)), [1])
            }
            nodes[0].gossip.stop()
            #expect(throws: LibP2PError.notRunning) { try nodes[0].gossip.publish("t", [1]) }
        }
    }

    @Test func aPeerThatDoesNotReadKeepsNobodyElseWaiting() throws {
        try run(3) { nodes in
            for node in nodes.prefix(2) { node.subscribe() }
            nodes[2].gossip.stop()
            nodes[2].host.register(.meshsub11) { _ in
                _ = try? await Reactor.sleep(for: .seconds(3_600))
            }
            try await nodes[0].connect(nodes[1])
            try await nodes[2].connect(nodes[0])
            let stream = try await nodes[2].host.newStream(nodes[0].host.peerID, [.meshsub11])
            var join = GossipRPC()
            join.subscriptions = [.init(subscribe: true, topic: "t")]
            try await stream.write(join.encoded)
            try await Reactor.sleep(for: .seconds(1))
            #expect(nodes[0].gossip.subscribers("t").count == 2)
            let text = String(repeating: "x", count: 500_000)
            for _ in 0..<30 {
                try nodes[0].publish(text)
                try await Reactor.sleep(for: .milliseconds(300))
            }
            try await Reactor.sleep(for: .seconds(2))
            #expect(nodes[1].received.count == 30)
            // Eight fit its queue, and some are in flight.
            #expect((15...22).contains(nodes[0].gossip.counters.unsent))
        }
    }

    @Test func theLargestMessageTravels() throws {
        try run(2) { nodes in
            for node in nodes { node.subscribe() }
            try await nodes[0].connect(nodes[1])
            try await Reactor.sleep(for: .seconds(1))
            let data = [UInt8](repeating: 0x61, count: GossipsubConfiguration().maximumData)
            try nodes[0].gossip.publish("t", data)
            try await Reactor.sleep(for: .seconds(5))
            #expect(nodes[1].received.first?.utf8.count == data.count)
        }
    }
}
