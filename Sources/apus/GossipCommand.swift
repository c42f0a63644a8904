import ArgumentParser
import Dispatch
import Foundation
import LibP2P
import Multiformats
import Reactor

/// `apus gossip`: takes part in gossipsub topics of any network, from the command line or a script.
struct GossipCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossip",
        abstract: "Publish and receive on gossipsub topics.",
        discussion: """
            Every line of input "TOPIC TEXT" is published; a line "status" asks for meshes, scores and counters. What \
            comes, and such answers, are lines of JSON on standard output, the first of which tells the listening \
            addresses. Ends with the input.
            """)

    @Option(help: "Address to listen on.")
    var listen: Multiaddr?

    @Option(help: "Address of a host to connect to, with /p2p/PEER-ID; may be repeated.")
    var connect: [Multiaddr] = []

    @Option(help: "Topic to join; may be repeated.")
    var topic: [String] = []

    @Option(help: "Peers wanted in a mesh; 0 for none: everything goes by offers then.")
    var degree: Int?

    @Flag(inversion: .prefixedNo, help: "Send own messages to all subscribers, not to the mesh only.")
    var floodPublish = true

    @OptionGroup var options: HostOptions

    func validate() throws {
        guard listen != nil || !connect.isEmpty else {
            throw ValidationError("give --listen, or --connect, or both")
        }
        guard (0...100).contains(degree ?? 0) else { throw ValidationError("--degree must be from 0 to 100") }
    }

    private var gossipConfiguration: GossipsubConfiguration {
        var configuration = GossipsubConfiguration()
        configuration.floodPublish = floodPublish
        if let degree {
            configuration.degree = degree
            configuration.degreeLow = max(0, min(degree, degree * 5 / 6))
            configuration.degreeHigh = degree * 2
            configuration.degreeScore = min(configuration.degreeScore, degree)
            configuration.degreeOut = min(configuration.degreeOut, degree / 2)
        }
        return configuration
    }

    func run() async throws {
        let signal = StopSignal()
        try await options.withHost(listening: listen.map { [$0] } ?? []) { [self] host in
            let gossip = Gossipsub(host, configuration: gossipConfiguration)
            defer { gossip.stop() }
            Self.write(Start(listen: host.listenAddresses.map { "\($0.appending(.p2p(host.peerID)))" }))
            for topic in topic {
                gossip.subscribe(topic) { message, peer in
                    Self.write(
                        Message(
                            topic: topic, author: "\(message.author)", from: "\(peer)",
                            text: String(decoding: message.data.array, as: UTF8.self)))
                }
            }
            for address in connect { _ = try await host.connect(address) }
            DispatchQueue(label: "input").async {
                while let line = readLine() {
                    Reactor.enqueue { Self.take(line, gossip, host, topic) }
                }
                signal.raise()
            }
            await signal.wait()
        }
    }

    @ReactorActor
    private static func take(_ line: String, _ gossip: Gossipsub, _ host: LibP2P.Host, _ topics: [String]) {
        guard line != "status" else {
            return write(
                Status(
                    mesh: Dictionary(uniqueKeysWithValues: Set(topics).map { ($0, texts(gossip.mesh($0))) }),
                    subscribers: Dictionary(
                        uniqueKeysWithValues: Set(topics).map { ($0, texts(gossip.subscribers($0))) }),
                    scores: Dictionary(
                        uniqueKeysWithValues: host.connectedPeers.map { ("\($0)", gossip.score($0)) }),
                    counters: gossip.counters))
        }
        let parts = line.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return StandardError.print("not TOPIC TEXT: \(line)") }
        do {
            try gossip.publish(String(parts[0]), Array(parts[1].utf8))
        } catch {
            StandardError.print("not published: \(error)")
        }
    }

    private static func texts(_ peers: [PeerID]) -> [String] { peers.map { "\($0)" } }

    private struct Start: Encodable { let listen: [String] }

    private struct Message: Encodable { let topic, author, from, text: String }

    private struct Status: Encodable {
        let mesh: [String: [String]]
        let subscribers: [String: [String]]
        let scores: [String: Double]
        let counters: GossipCounters
    }

    private static func write(_ value: some Encodable) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let line = try? encoder.encode(value) else { return }
        FileHandle.standardOutput.write(line + Data("\n".utf8))
    }
}
