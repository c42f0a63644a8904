import Bytes
import Collections
import Crypto
import Multiformats
import Reactor

@testable import LibP2P

/// Hosts in virtual time that gossip on one topic, some of which break the rules.
@ReactorActor
final class GossipNetwork {
    /// A dishonest host's behaviour.
    enum Attack: CaseIterable {
        /// Signed messages that every validator rejects.
        case spam
        /// Messages in other hosts' names.
        case forgery
        /// GRAFT and PRUNE in turn, without pause.
        case grafts
        /// Offers of messages that do not exist.
        case offers
        /// Receives everything and forwards nothing.
        case blackHole
    }

    static let topic: RawText = "t"

    @ReactorActor
    final class Member {
        let key: PrivateKey
        let host: Host
        fileprivate(set) var gossip: Gossipsub?
        fileprivate(set) var attack: Attack?
        fileprivate(set) var received: [String] = []

        fileprivate init(_ number: Int, key: PrivateKey) throws {
            self.key = key
            let ip = "10.0.\(number / 250).\(number % 250 + 1)"
            var configuration = HostConfiguration(
                identity: key, listenAddresses: [try Multiaddr("/ip4/\(ip)/tcp/6600")])
            configuration.securityProtocols = [.plaintext]
            configuration.dialFrom = try SocketAddress(ip: ip, port: 0)
            host = Host(configuration)
            try host.start()
        }
    }

    let members: [Member]
    private var random: SeededGenerator
    private var isOver = false

    /// Starts hosts; the last ones are the attackers.
    init(honest: Int, attackers: [(Attack, Int)], seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let attacks = attackers.flatMap { [Attack](repeating: $0.0, count: $0.1) }
        members = try (0..<(honest + attacks.count)).map {
            try Member(
                $0,
                key: PrivateKey(ed25519Seed: (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }))
        }
        self.random = random
        for (member, attack) in zip(members.dropFirst(honest), attacks) { member.attack = attack }
        for member in honestMembers { start(member) }
    }

    var honestMembers: [Member] { members.filter { $0.attack == nil } }

    private func start(_ member: Member) {
        let gossip = Gossipsub(member.host, firstSequence: 1)
        member.gossip = gossip
        gossip.subscribe(Self.topic) { message, _ in
            message.data.array.starts(with: Array("bad".utf8)) ? .reject : .accept
        } handler: { [weak member] message, _ in
            member?.received.append(String(decoding: message.data.array, as: UTF8.self))
        }
    }

    /// Connects every host with `degree` others at random, and starts the attacks.
    func connect(degree: Int) async throws {
        for member in members where member.attack != nil {
            for id in [ProtocolID.meshsub12, .meshsub11] {
                member.host.register(id) { stream in
                    while (try? await stream.read(upTo: 65_536))?.isEmpty == false {}
                }
            }
        }
        for member in members {
            for other in members.shuffled(using: &random).prefix(degree + 1) where other !== member {
                guard let address = other.host.listenAddresses.first else { continue }
                _ = try? await member.host.connect(address.appending(.p2p(other.host.peerID)))
            }
        }
        for (number, member) in members.enumerated() {
            guard let attack = member.attack else { continue }
            for peer in member.host.connectedPeers {
                Reactor.spawn { await self.run(attack, member, UInt64(number), against: peer) }
            }
        }
    }

    func stop() async {
        isOver = true
        for member in members {
            member.gossip?.stop()
            await member.host.stop()
        }
    }

    // MARK: Attacks

    private func run(_ attack: Attack, _ member: Member, _ number: UInt64, against peer: PeerID) async {
        guard let stream = try? await member.host.newStream(peer, [.meshsub12]) else { return }
        var first = GossipRPC()
        first.subscriptions = [.init(subscribe: true, topic: Self.topic)]
        first.graft = [Self.topic]
        var next = first
        var sequence: UInt64 = 0
        while !isOver {
            guard (try? await stream.write(next.encoded)) != nil,
                (try? await Reactor.sleep(for: .milliseconds(200))) != nil
            else { return }
            sequence += 1
            next = rpc(attack, member, number << 32 | sequence)
        }
    }

    private func rpc(_ attack: Attack, _ member: Member, _ sequence: UInt64) -> GossipRPC {
        var rpc = GossipRPC()
        switch attack {
        case .spam:
            rpc.messages = [
                GossipMessage(
                    topic: Self.topic, data: Array("bad \(sequence)".utf8), sequence: sequence,
                    author: member.key)
            ]
        case .forgery:
            let claim = GossipMessage(
                topic: Self.topic, data: Array("false".utf8), sequence: sequence, author: member.key)
            let victim = honestMembers[Int(sequence % UInt64(honestMembers.count))].host.peerID
            // The author's peer ID follows the first tag and length. Both authors' IDs are 38 bytes long.
            var bytes = claim.encoded.array
            bytes.replaceSubrange(2..<(2 + victim.bytes.count), with: victim.bytes)
            rpc.messages = (try? GossipMessage(decoding: SharedBytes(bytes))).map { [$0] } ?? []
        case .grafts:
            rpc.graft = [Self.topic]
            rpc.prune = [.init(topic: Self.topic)]
        case .offers:
            let id = withUnsafeBytes(of: sequence.bigEndian) { Array($0) }
            rpc.iHave = [.init(topic: Self.topic, ids: [member.host.peerID.bytes + id])]
        case .blackHole: rpc.subscriptions = [.init(subscribe: true, topic: Self.topic)]
        }
        return rpc
    }
}
