import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// A host that is no machine of the network: it has the chain's name, an address of its own and a will of its own.
@ReactorActor
final class Stranger {
    let host: Host
    /// Who it is: itself, or whomever it pretends to be.
    let key: PrivateKey
    let world: World

    /// The stranger of a number, which listens at 10.200.x.y unless told otherwise. With another's `key` it goes for that
    /// one. A guest does not say that it is of the chain.
    init(
        _ world: World, _ number: Int, ip: String? = nil, key: PrivateKey? = nil, isGuest: Bool = false
    ) throws {
        self.world = world
        self.key = try key ?? World.key("stranger \(number)", world.options.seed, number)
        let ip = ip ?? "10.200.\(number >> 8 & 255).\(number & 255)"
        var configuration = HostConfiguration(
            identity: self.key,
            listenAddresses: [Multiaddr(ip: ip, tcp: World.port)].compactMap { $0 })
        configuration.dialFrom = try SocketAddress(ip: ip, port: 0)
        configuration.noiseKeys = KeyStream(seed: world.options.seed, "stranger keys \(number)").make
        host = Host(configuration)
        if !isGuest { host.advertise(KwilProtocol.chain(world.genesis.chainID)) }
        try host.start()
    }

    var id: PeerID { host.peerID }

    /// Dials a machine. False when it does not answer or refuses at once.
    @discardableResult
    func dial(_ machine: SimulatedNode) async -> Bool {
        do {
            guard let address = Multiaddr(ip: machine.setup.address.ip, tcp: World.port) else { return false }
            try await host.connect(machine.key.peerID, [address], backsOff: false)
            return true
        } catch {
            return false
        }
    }

    /// Whether a machine counts the stranger among its peers.
    func isPeer(of machine: SimulatedNode) -> Bool {
        machine.node?.connectedPeers.contains(id) ?? false
    }

    /// Asks a machine for peers; nil when there is no answer, an empty list also when the stream was closed.
    func ask(_ machine: SimulatedNode) async -> [PeerID]? {
        let found = try? await DiscoveryProtocol.request(
            from: machine.key.peerID, chainID: world.genesis.chainID, on: host)
        return found?.map(\.id)
    }

    /// Sends a machine what is no message.
    func misbehave(_ machine: SimulatedNode) async {
        guard let stream = try? await host.newStream(machine.key.peerID, [BlockHeightProtocol.id]) else {
            return
        }
        try? await stream.write(Array("getblkheight:nonsense".utf8))
        _ = try? await stream.read(upTo: 1)
        stream.reset()
    }
}

extension World {
    /// Lets a stranger dial a machine until it is a peer.
    func admit(_ stranger: Stranger, at machine: SimulatedNode) async throws {
        try await expect("\(machine.name) refuses the stranger") {
            await stranger.dial(machine)
            return stranger.isPeer(of: machine)
        }
    }
}
