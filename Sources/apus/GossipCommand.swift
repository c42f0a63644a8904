import Arguments
import Bytes
import LibP2P
import Multiformats
import Reactor

/// `apus gossip`: publishes and receives on the gossipsub topics of any network.
struct GossipCommand: Action {
    let listen: Multiaddr?
    let connect: [Multiaddr]
    let topics: [String]
    let degree: Int?
    let floodPublish: Bool
    let options: HostOptions

    static var command: Command {
        Command(
            "gossip", "Publish and receive on gossipsub topics.",
            discussion: """
                Publishes each input line "TOPIC TEXT". An input line "status" prints meshes, scores and counters. Each output \
                line is a JSON object: first the listening addresses, then messages and status. Ends with the input.
                """,
            .option("listen", .multiaddr, "Address to listen on."),
            .repeated("connect", .multiaddr, "Address of a host to connect to, with /p2p/PEER-ID."),
            .repeated("topic", .topic, "Topic to join."),
            .option(
                "degree", .integer(0...100),
                "Number of peers to keep in a mesh. With 0 there is no mesh, and messages travel by IHAVE and IWANT only."
            ),
            .flag(
                "flood-publish", orNo: "Send own messages to all subscribers, not only to the mesh.",
                "Send own messages to the mesh only."),
            HostOptions.parameters,
            action: GossipCommand.init)
    }

    func validate() throws(UsageError) {
        guard listen != nil || !connect.isEmpty else {
            throw .inconsistent("give --listen, --connect or both")
        }
        var names: Set<[UInt8]> = []
        for topic in topics where !names.insert(Array(topic.utf8)).inserted {
            throw .inconsistent("--topic \(topic) is given twice")
        }
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
        let signal = try StopSignal()
        try await options.withHost(listening: listen.map { [$0] } ?? []) {
            [topics, connect, gossipConfiguration] host in
            let gossip = Gossipsub(host, configuration: gossipConfiguration)
            defer { gossip.stop() }
            // A failed write, such as to a closed pipe, ends the command.
            let write: @Sendable (JSONLine) -> Void = { line in
                do { try StandardOutput.printAtOnce(line.text) } catch { signal.raise() }
            }
            write(.start(host))
            for topic in topics {
                gossip.subscribe(RawText(topic)) { message, peer in
                    write(.message(message, topic, from: peer))
                }
            }
            for address in connect { _ = try await host.connect(address) }
            try LoopThread.start("input") {
                while let line = readLine() {
                    Reactor.enqueue { Self.take(line, gossip, host, topics, write) }
                }
                signal.raise()
            }
            await signal.wait()
        }
    }

    @ReactorActor
    private static func take(
        _ line: String, _ gossip: Gossipsub, _ host: LibP2P.Host, _ topics: [String],
        _ write: @Sendable (JSONLine) -> Void
    ) {
        guard line != "status" else { return write(.status(gossip, host, topics)) }
        let parts = line.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return StandardError.print("ignored, not TOPIC TEXT: \(line)") }
        do {
            try gossip.publish(RawText(String(parts[0])), Array(parts[1].utf8))
        } catch {
            StandardError.print("cannot publish: \(error)")
        }
    }
}

/// A line of output: a JSON object in which every control character is escaped, so that a terminal ignores it.
private struct JSONLine: Sendable {
    let text: String

    private init(_ members: [(name: String, value: String)]) { text = Self.object(members) }

    @ReactorActor
    static func start(_ host: LibP2P.Host) -> JSONLine {
        JSONLine([("listen", array(host.listenAddresses.map { "\($0.appending(.p2p(host.peerID)))" }))])
    }

    @ReactorActor
    static func message(_ message: GossipMessage, _ topic: String, from peer: PeerID) -> JSONLine {
        JSONLine([
            ("author", quoted("\(message.author)")), ("from", quoted("\(peer)")),
            ("text", quoted(String(decoding: message.data.array, as: UTF8.self))), ("topic", quoted(topic)),
        ])
    }

    @ReactorActor
    static func status(_ gossip: Gossipsub, _ host: LibP2P.Host, _ topics: [String]) -> JSONLine {
        func peers(_ list: (RawText) -> [PeerID]) -> String {
            object(topics.map { topic in (topic, array(list(RawText(topic)).map { "\($0)" })) })
        }
        let counters = gossip.counters
        let numbers: [(String, UInt64)] = [
            ("accepted", counters.accepted), ("duplicates", counters.duplicates),
            ("rejected", counters.rejected), ("ignored", counters.ignored),
            ("malformed", counters.malformed), ("overflowed", counters.overflowed),
            ("brokenPromises", counters.brokenPromises), ("earlyGrafts", counters.earlyGrafts),
            ("graylisted", counters.graylisted), ("unsent", counters.unsent),
        ]
        return JSONLine([
            ("counters", object(numbers.map { ($0, "\($1)") })),
            ("mesh", peers(gossip.mesh)),
            ("scores", object(host.connectedPeers.map { ("\($0)", "\(gossip.score($0))") })),
            ("subscribers", peers(gossip.subscribers)),
        ])
    }

    // MARK: JSON

    private static func object(_ members: [(name: String, value: String)]) -> String {
        "{\(members.map { "\(quoted($0.name)):\($0.value)" }.joined(separator: ","))}"
    }

    private static func array(_ texts: [String]) -> String {
        "[\(texts.map(quoted).joined(separator: ","))]"
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}":
                quoted += "\\u\(String(scalar.value + 0x10000, radix: 16).dropFirst())"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
