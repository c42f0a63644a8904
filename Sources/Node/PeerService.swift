import Chain
import Crypto
import LibP2P
import Multiformats
import OrderedCollections
import Protocols
import Reactor

/// Keeps the node connected: dials its bootnodes again whenever they are gone, learns of others by peer exchange,
/// saves the address book, and admits only peers of its own chain.
@ReactorActor
final class PeerService: PeerDirectory {
    /// Time between two looks at whether enough peers are connected.
    private nonisolated static let interval = Duration.seconds(2)
    /// Looks between two rounds of peer exchange, and between two savings of the address book.
    private nonisolated static let exchangeEvery = 5
    private nonisolated static let saveEvery = 15
    /// Peers told to another at most.
    private nonisolated static let toldPeers = 100
    /// Addresses believed from one answer at most.
    private nonisolated static let believedPeers = 200

    private struct Bootnode {
        let peer: PeerID
        let address: Multiaddr
    }

    private let context: NodeContext
    private let bootnodes: [Bootnode]
    private let whitelist: Set<PeerID>
    private var dialing: Set<PeerID> = []
    private var ready: OrderedSet<PeerID> = []
    private var ticks = 0
    private var timer: Timer?

    /// A peer of this chain has told what it speaks.
    var onReady: ((PeerID) -> Void)?
    /// Such a peer's connection has ended.
    var onLeft: ((PeerID) -> Void)?
    /// The validators now, who alone are told where the leader is.
    var validators: () -> ValidatorSet = { ValidatorSet([Validator]()) }

    init(_ context: NodeContext) throws {
        self.context = context
        bootnodes = try context.configuration.p2p.bootnodes.map { text in
            let address = try PeerAddress.parse(text)
            guard let peer = address.peerID else {
                throw NodeError.failed("bootnode \"\(text)\" names no node ID")
            }
            return Bootnode(peer: peer, address: address)
        }
        whitelist = try Set(
            context.configuration.p2p.whitelist.map { text in
                do {
                    return try PublicKey(nodeID: text).peerID
                } catch {
                    throw NodeError.failed("p2p.whitelist: \"\(text)\": \(error)")
                }
            })
    }

    var peerCount: Int { ready.count }

    func start() {
        let host = context.host
        let discovery = DiscoveryProtocol(self, host: host)
        host.setStreamHandler(KwilProtocol.discovery) { await discovery.serve($0) }
        host.advertise(KwilProtocol.chain(context.genesis.chainID))
        host.observe { [weak self] event in
            switch event {
            case .connected: break
            case .identified(let peer, let info): self?.identified(peer, info)
            case .disconnected(let peer): self?.left(peer)
            case .misbehaved: break
            }
        }
        tick()
    }

    func stop() async {
        timer?.cancel()
        do {
            try await context.host.configuration.peerStore.save()
        } catch {
            context.logger.warning("address book not saved", metadata: ["error": "\(error)"])
        }
    }

    /// In private mode, whether the peer is on the whitelist or a bootnode.
    func admits(_ peer: PeerID) -> Bool {
        guard context.configuration.p2p.isPrivate else { return true }
        return whitelist.contains(peer) || bootnodes.contains { $0.peer == peer }
    }

    // MARK: Connections

    private func identified(_ peer: PeerID, _ info: IdentifyInfo) {
        let traits = PeerTraits(info.protocols)
        guard admits(peer) else { return context.host.disconnect(peer) }
        guard traits.chainID == context.genesis.chainID || traits.isCrawler || traits.chainID == nil else {
            context.logger.info("peer of another chain", metadata: ["peer": "\(peer)"])
            return context.host.disconnect(peer)
        }
        // A peer without a chain is served, but counts for nothing.
        guard traits.chainID != nil, !traits.isCrawler, ready.append(peer).inserted else { return }
        context.logger.info("peer connected", metadata: ["peer": "\(peer)", "agent": "\(info.agentVersion)"])
        onReady?(peer)
    }

    private func left(_ peer: PeerID) {
        guard ready.remove(peer) != nil else { return }
        context.logger.info("peer disconnected", metadata: ["peer": "\(peer)"])
        onLeft?(peer)
    }

    private func tick() {
        ticks &+= 1
        let connected = Set(context.host.connectedPeers)
        for bootnode in bootnodes where !connected.contains(bootnode.peer) {
            dial(bootnode.peer, [bootnode.address])
        }
        let store = context.host.configuration.peerStore
        var missing = context.configuration.p2p.targetConnections - connected.count - dialing.count
        for peer in store.peers where missing > 0 {
            guard peer != context.host.peerID, !connected.contains(peer), admits(peer) else { continue }
            dial(peer, [])
            missing -= 1
        }
        if context.configuration.p2p.pex, ticks % Self.exchangeEvery == 1 { exchangePeers() }
        if ticks % Self.saveEvery == 0 { Reactor.spawn { try? await store.save() } }
        let jitter = Duration.milliseconds(Int64(Reactor.random() % 500))
        timer = Reactor.schedule(after: Self.interval + jitter) { [weak self] in self?.tick() }
    }

    /// The host backs off by itself from addresses that do not answer.
    private func dial(_ peer: PeerID, _ addresses: [Multiaddr]) {
        guard dialing.insert(peer).inserted else { return }
        Reactor.spawn {
            do {
                try await self.context.host.connect(peer, addresses)
            } catch {
                self.context.logger.debug("dial failed", metadata: ["peer": "\(peer)", "error": "\(error)"])
            }
            self.dialing.remove(peer)
        }
    }

    // MARK: Peer exchange

    private func exchangePeers() {
        for peer in ready {
            Reactor.spawn {
                let found: [DiscoveredPeer]
                do {
                    found = try await DiscoveryProtocol.request(
                        from: peer, chainID: self.chainID, on: self.context.host)
                } catch {
                    return
                }
                let store = self.context.host.configuration.peerStore
                for other in found.prefix(Self.believedPeers) where other.id != self.context.host.peerID {
                    store.add(other.addresses, for: other.id)
                }
            }
        }
    }

    var chainID: String { context.genesis.chainID }

    func peers(toTell peer: PeerID) -> [DiscoveredPeer]? {
        guard context.configuration.p2p.pex else { return nil }
        let validators = validators()
        let mayKnowLeader = validators.keys.contains { $0.peerID == peer }
        let leader = context.genesis.leader?.peerID
        let store = context.host.configuration.peerStore
        return ready.filter { $0 != peer && (mayKnowLeader || $0 != leader) }.prefix(Self.toldPeers).map {
            DiscoveredPeer(
                id: $0, addresses: store.addresses(of: $0),
                protocols: context.host.identity(of: $0)?.protocols ?? [])
        }
    }
}

/// A peer's address as configuration writes it.
enum PeerAddress {
    /// Reads `<public key hex>#<key type>@host:port` or a multiaddr with `/p2p/`.
    static func parse(_ text: String) throws -> Multiaddr {
        if text.hasPrefix("/") {
            do { return try Multiaddr(text) } catch { throw NodeError.failed("\"\(text)\": \(error)") }
        }
        guard let at = text.lastIndex(of: "@") else {
            throw NodeError.failed("\"\(text)\" is not <node ID>@host:port")
        }
        do {
            let key = try PublicKey(nodeID: text[..<at])
            let transport = try transport(String(text[text.index(after: at)...]))
            return try Multiaddr("\(transport)/p2p/\(key.peerID)")
        } catch let error as NodeError {
            throw error
        } catch {
            throw NodeError.failed("\"\(text)\": \(error)")
        }
    }

    /// The multiaddr of `host:port`, where an IPv6 address stands in brackets.
    static func transport(_ text: String) throws -> Multiaddr {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw NodeError.failed("\"\(text)\" is not host:port")
        }
        let host = text[..<colon]
        let name: String
        if host.hasPrefix("["), host.hasSuffix("]") {
            name = "/ip6/\(host.dropFirst().dropLast())"
        } else if !host.isEmpty, host.allSatisfy({ $0.isNumber || $0 == "." }) {
            name = "/ip4/\(host)"
        } else {
            name = "/dns/\(host)"
        }
        do {
            return try Multiaddr("\(name)/tcp/\(port)")
        } catch {
            throw NodeError.failed("\"\(text)\": \(error)")
        }
    }
}
