import Bytes
import Chain
import Crypto
import Log
import Multiformats
import Protocols
import Reactor
import Synchronization
import Testing

@testable import LibP2P
@testable import Node

/// Two processes with one key, among nodes in virtual time.
struct KeyWatchTests {
    /// Counts a node's warnings of shared keys.
    private final class Warnings: LogSink {
        private let count = Mutex(0)

        func write(_ event: LogEvent) {
            if "\(event.message)".hasPrefix("two hosts run with the key") { count.withLock { $0 += 1 } }
        }

        var total: Int { count.withLock { $0 } }
        var log: Log { Log(source: "node", level: .trace, sink: self) }
    }

    /// The reasons for which nodes stopped by themselves.
    @ReactorActor
    private final class Ends {
        private(set) var reasons: [Int: String] = [:]

        func watch(_ number: Int, _ node: Node?) {
            Reactor.spawn {
                if let error = await node?.failure() { self.reasons[number] = "\(error)" }
            }
        }
    }

    private func run(
        validators: Int = 4,
        _ body: @escaping @ReactorActor @Sendable (GossipServiceTests.Chain) async throws -> Void
    ) throws {
        try GossipServiceTests().run(validators: validators, body)
    }

    /// Each node that is connected to both, or hears both, warns once. Both stop, even a leader.
    @Test(arguments: [0, 2]) func twoHostsWithOneKeyStop(copied: Int) throws {
        try run { chain in
            let (warnings, ends) = ((0..<4).map { _ in Warnings() }, Ends())
            for number in 0..<4 {
                let others = Array(0..<number)
                try await chain.start(number, dialing: others, log: warnings[number].log)
            }
            try await Reactor.sleep(for: .seconds(20))
            let others = (0..<4).filter { $0 != copied }
            try await chain.start(7, dialing: others, key: copied)
            for number in [copied, 7] { ends.watch(number, chain.nodes[number]) }
            try await Reactor.sleep(for: .seconds(20))
            for number in [copied, 7] {
                let reason = ends.reasons[number] ?? "it goes on"
                #expect(reason.contains("another host votes with this node's key"), "\(number): \(reason)")
                #expect(reason.contains(chain.keys[copied].publicKey.nodeID))
            }
            for number in others { #expect(warnings[number].total == 1, "\(number)") }
        }
    }

    /// The two have different neighbours, and no node is connected to both.
    @Test func twoHostsThatShareNoNeighbourStop() throws {
        try run(validators: 5) { chain in
            let (warnings, ends) = ((0..<4).map { _ in Warnings() }, Ends())
            try await chain.start(0, dialing: [], log: warnings[0].log)
            for number in [1, 3] { try await chain.start(number, dialing: [0], log: warnings[number].log) }
            try await chain.start(2, dialing: [1])
            try await Reactor.sleep(for: .seconds(20))
            try await chain.start(7, dialing: [3], key: 2)
            for number in [2, 7] { ends.watch(number, chain.nodes[number]) }
            try await Reactor.sleep(for: .seconds(20))
            #expect(Set(ends.reasons.keys) == [2, 7])
            for number in [0, 1, 3] { #expect(warnings[number].total == 1, "\(number)") }
        }
    }

    /// A validator is sent the statements and votes of its former processes again and again.
    @Test func restartsAndReplaysStopNobody() throws {
        try run { chain in
            let (warnings, ends) = ((0..<4).map { _ in Warnings() }, Ends())
            for number in 0..<4 {
                try await chain.start(number, dialing: Array(0..<number), log: warnings[number].log)
            }
            let spy = try await chain.spy(9, dialing: [1, 2])
            let topics = [GossipTopic.processes, GossipTopic.acknowledgements]
            for topic in topics { spy.listen(topic) }
            let author = chain.keys[2].publicKey.peerID
            for _ in 0..<4 {
                try await Reactor.sleep(for: .seconds(90))
                await chain.stop(2)
                try await chain.start(2, dialing: [0, 1], log: warnings[2].log)
                ends.watch(2, chain.nodes[2])
                try await Reactor.sleep(for: .seconds(3))
                _ = try? await spy.host.connect(
                    Multiaddr("/ip4/10.0.0.3/tcp/6600/p2p/\(author)"))
                for message in topics.flatMap({ spy.heard[$0] ?? [] }) where message.author == author {
                    for number in [1, 2] {
                        spy.gossip.bring(message, to: chain.keys[number].publicKey.peerID)
                    }
                    try await Reactor.sleep(for: .milliseconds(200))
                }
            }
            let statements = (spy.heard[GossipTopic.processes] ?? []).filter { $0.author == author }
            #expect(Set(statements.compactMap { ProcessStatement(decoding: $0.data)?.process }).count >= 4)
            try await Reactor.sleep(for: .seconds(30))
            #expect(ends.reasons == [:])
            #expect(warnings.map(\.total) == [0, 0, 0, 0])
            let heights = [chain.heights[0] ?? 0, chain.heights[2] ?? 0]
            #expect(heights[0] - heights[1] < 3)
        }
    }

    /// A statement that the node's key has not signed has no effect.
    @Test func aForgedAnswerStopsNobody() throws {
        try run { chain in
            let ends = Ends()
            for number in 0..<2 { try await chain.start(number, dialing: Array(0..<number)) }
            ends.watch(1, chain.nodes[1])
            let spy = try await chain.spy(9, dialing: [1])
            spy.listen(GossipTopic.processes)
            try await Reactor.sleep(for: .seconds(5))
            let own = chain.keys[1].publicKey.peerID
            let heard = (spy.heard[GossipTopic.processes] ?? []).filter { $0.author == own }
            let statement = try #require(heard.first.flatMap { ProcessStatement(decoding: $0.data) })
            let answer = ProcessStatement(ProcessID(1, 2), heard: [statement.process])
            let foreign = GossipMessage(
                topic: GossipTopic.processes, data: answer.bytes, sequence: .max, author: chain.keys[0])
            spy.gossip.bring(try foreign.renamed(chain.keys[0], chain.keys[1]), to: own)
            try await Reactor.sleep(for: .seconds(10))
            #expect(ends.reasons == [:])
            // With the key's own signature, the statement counts.
            let signed = GossipMessage(
                topic: GossipTopic.processes, data: answer.bytes, sequence: .max, author: chain.keys[1])
            let other = try await chain.spy(8, dialing: [1])
            other.listen(GossipTopic.processes)
            try await Reactor.sleep(for: .seconds(5))
            other.gossip.bring(signed, to: own)
            try await Reactor.sleep(for: .seconds(10))
            #expect(ends.reasons.count == 1)
        }
    }
}

extension GossipMessage {
    /// Returns the message with another author but the same signature.
    fileprivate func renamed(_ author: PrivateKey, _ other: PrivateKey) throws -> GossipMessage {
        let (before, after) = (author.publicKey.bytes, other.publicKey.bytes)
        var bytes = encoded.array
        for start in bytes.indices where bytes[start...].starts(with: before) {
            bytes.replaceSubrange(start..<start + after.count, with: after)
        }
        return try GossipMessage(decoding: SharedBytes(bytes))
    }
}
