import Arguments
import Bytes
import JSON
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
    let output: OutputForm

    static var command: Command {
        Command(
            "gossip", "Publish and receive on gossipsub topics.",
            discussion: """
                Publishes each input line "TOPIC TEXT". An input line "status" prints meshes, scores and counters. Each output \
                line is a JSON object: first the listening addresses, then messages and status. Ends with the input. With --json, \
                errors are JSON, too.
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
            OutputForm.parameter,
            action: GossipCommand.init)
    }

    func validate() throws(UsageError) {
        guard listen != nil || !connect.isEmpty else {
            throw .inconsistent("give --listen, --connect or both")
        }
        var names: Set<RawText> = []
        for topic in topics where !names.insert(RawText(topic)).inserted {
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
                do { try StandardOutput.printAtOnce(line) } catch { signal.raise() }
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

/// The lines of output.
extension JSONLine {
    @ReactorActor
    fileprivate static func start(_ host: LibP2P.Host) -> JSONLine {
        .object {
            $0.array("listen", of: host.listenAddresses) { $0.text("\($1.appending(.p2p(host.peerID)))") }
        }
    }

    @ReactorActor
    fileprivate static func message(_ message: GossipMessage, _ topic: String, from peer: PeerID) -> JSONLine
    {
        .object {
            $0.member("author", text: "\(message.author)")
            $0.member("from", text: "\(peer)")
            $0.member("text", text: String(decoding: message.data.array, as: UTF8.self))
            $0.member("topic", text: topic)
        }
    }

    @ReactorActor
    fileprivate static func status(_ gossip: Gossipsub, _ host: LibP2P.Host, _ topics: [String]) -> JSONLine {
        let counters = gossip.counters
        return .object {
            $0.object("counters") {
                $0.member("accepted", integer: counters.accepted)
                $0.member("duplicates", integer: counters.duplicates)
                $0.member("rejected", integer: counters.rejected)
                $0.member("ignored", integer: counters.ignored)
                $0.member("malformed", integer: counters.malformed)
                $0.member("overflowed", integer: counters.overflowed)
                $0.member("brokenPromises", integer: counters.brokenPromises)
                $0.member("earlyGrafts", integer: counters.earlyGrafts)
                $0.member("graylisted", integer: counters.graylisted)
                $0.member("unsent", integer: counters.unsent)
            }
            $0.object("mesh") { $0.peers(topics, gossip.mesh) }
            $0.object("scores") {
                for peer in host.connectedPeers {
                    $0.name("\(peer)")
                    $0.number(gossip.score(peer))
                }
            }
            $0.object("subscribers") { $0.peers(topics, gossip.subscribers) }
        }
    }
}

extension JSONWriter {
    /// Writes a member for each topic: its peers.
    @ReactorActor
    fileprivate mutating func peers(_ topics: [String], _ peers: (RawText) -> [PeerID]) {
        for topic in topics {
            name(topic)
            array { list in
                for peer in peers(RawText(topic)) { list.text("\(peer)") }
            }
        }
    }
}
