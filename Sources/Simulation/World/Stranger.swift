import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// A host outside the simulated machines: it has the chain's ID and an address of its own, and scripts control it.
@ReactorActor
final class Stranger {
    let host: Host
    /// Its own key, or the key it pretends to own.
    let key: PrivateKey
    let world: World

    /// Creates the stranger with a number. It listens at 10.200.x.y unless `ip` is given. With another host's `key`
    /// it impersonates that host. A guest does not announce the chain's ID.
    init(
        _ world: World, _ number: Int, ip: String? = nil, key: PrivateKey? = nil, isGuest: Bool = false
    ) throws {
        self.world = world
        self.key = try key ?? World.key("stranger \(number)", world.options.seed, number)
        let own = try SocketAddress(ip: ip ?? "10.200.\(number >> 8 & 255).\(number & 255)", port: 0)
        var configuration = HostConfiguration(
            identity: self.key, listenAddresses: [Multiaddr(ip: own.ip, tcp: World.port)])
        configuration.dialFrom = own
        configuration.noiseKeys = KeyStream(seed: world.options.seed, "stranger keys \(number)").make
        host = Host(configuration)
        if !isGuest { host.advertise(KwilProtocol.chain(world.genesis.chainID)) }
        try host.start()
    }

    var id: PeerID { host.peerID }

    /// Dials a machine. Returns false when the machine does not answer or refuses at once.
    @discardableResult
    func dial(_ machine: SimulatedNode) async -> Bool {
        do {
            let address = Multiaddr(ip: machine.setup.address.ip, tcp: World.port)
            try await host.connect(machine.key.peerID, [address], backsOff: false)
            return true
        } catch {
            return false
        }
    }

    /// Returns whether a machine has the stranger among its peers.
    func isPeer(of machine: SimulatedNode) -> Bool {
        machine.node?.connectedPeers.contains(id) ?? false
    }

    /// Asks a machine for peers. Returns nil when there is no answer; an empty list may also mean a closed stream.
    func ask(_ machine: SimulatedNode) async -> [PeerID]? {
        let found = try? await DiscoveryProtocol.request(
            from: machine.key.peerID, chainID: world.genesis.chainID, on: host)
        return found?.map(\.id)
    }

    /// Sends a machine a malformed message.
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
    /// Makes a stranger dial a machine until it is a peer.
    func admit(_ stranger: Stranger, at machine: SimulatedNode) async throws {
        try await expect("\(machine.name) refuses the stranger") {
            await stranger.dial(machine)
            return stranger.isPeer(of: machine)
        }
    }
}
