import Bytes
import Collections
import Crypto
import LibP2P
import Multiformats

/// What the operator has said about peers: the `[p2p]` section, read and checked.
struct PeerRules: Sendable {
    /// This node.
    let own: PeerID
    /// Peers that are always kept connected, with their addresses: bootnodes, and sentries whose address is given.
    private(set) var kept: OrderedDictionary<PeerID, [Multiaddr]> = [:]
    /// Peers that the operator has named: those kept, sentries and the whitelist. Admitted in every role and mode.
    private(set) var named: OrderedSet<PeerID> = []
    /// Whether only named peers and validators are admitted.
    var isPrivate = false
    /// Peers of which nobody is told.
    private(set) var hidden: OrderedSet<PeerID> = []
    /// Peers and networks with which there is no connection, whoever dials.
    var blocked = BlockList()
    /// Connections that the node tries to hold.
    var target = 20
    /// Connections that it holds at most.
    var maximum = 200
    /// Whether it tells others of peers.
    var tellsPeers = true

    /// Nothing but defaults.
    init(own: PeerID) { self.own = own }

    /// Reads the configuration. Throws one line that names the key and what is wrong.
    init(_ configuration: Configuration.P2P, own: PeerID) throws(NodeError) {
        self.own = own
        isPrivate = configuration.isPrivate
        tellsPeers = configuration.pex
        target = min(configuration.targetConnections, configuration.maxConnections)
        maximum = configuration.maxConnections
        for text in configuration.bootnodes {
            let (peer, address) = try Self.reference(text, in: "p2p.bootnodes")
            guard let address else { throw .failed("p2p.bootnodes: \"\(text)\" has no address") }
            keep(peer, at: address)
        }
        for text in configuration.sentries {
            let (peer, address) = try Self.reference(text, in: "p2p.sentries")
            if let address { keep(peer, at: address) } else { name(peer) }
        }
        for text in configuration.whitelist { name(try Self.reference(text, in: "p2p.whitelist").peer) }
        for text in configuration.privatePeers {
            hidden.append(try Self.reference(text, in: "p2p.private_peers").peer)
        }
        for text in configuration.blocklist {
            guard let entry = BlockList.Entry(text) else {
                throw .failed("p2p.blocklist: \"\(text)\" is no node ID, peer ID, IP address or network")
            }
            blocked.insert(entry)
        }
    }

    /// Keeps a peer connected at this address among others.
    mutating func keep(_ peer: PeerID, at address: Multiaddr) {
        kept[peer, default: []].append(address.withoutPeerID)
        name(peer)
    }

    /// Admits a peer always.
    mutating func name(_ peer: PeerID) {
        if peer != own { named.append(peer) }
    }

    /// Tells nobody of a peer.
    mutating func hide(_ peer: PeerID) { hidden.append(peer) }

    /// A peer as configuration names it: by node ID or peer ID, or by an address that ends with either.
    private static func reference(
        _ text: String, in key: String
    ) throws(NodeError) -> (peer: PeerID, address: Multiaddr?) {
        if let peer = PeerID(nodeOrPeer: text) { return (peer, nil) }
        do {
            let address = try PeerAddress.parse(text)
            if let peer = address.peerID { return (peer, address) }
        } catch {
            throw .failed("\(key): \(error)")
        }
        throw .failed("\(key): \"\(text)\" names no node ID")
    }
}

/// Peers and networks that are kept out.
struct BlockList: Sendable, Equatable {
    /// One thing that is kept out.
    enum Entry: Hashable, Sendable {
        case peer(PeerID)
        case network(IPNetwork)

        /// Reads a node ID, a peer ID, an IP address or a network such as `10.0.0.0/8`.
        init?(_ text: String) {
            if let network = IPNetwork(text) {
                self = .network(network)
            } else if let peer = PeerID(nodeOrPeer: text) {
                self = .peer(peer)
            } else {
                return nil
            }
        }
    }

    private var peers: OrderedSet<PeerID> = []
    private var networks: OrderedSet<IPNetwork> = []

    mutating func insert(_ entry: Entry) {
        switch entry {
        case .peer(let peer): peers.append(peer)
        case .network(let network): networks.append(network)
        }
    }

    mutating func remove(_ entry: Entry) {
        switch entry {
        case .peer(let peer): peers.remove(peer)
        case .network(let network): networks.remove(network)
        }
    }

    func contains(_ peer: PeerID) -> Bool { peers.contains(peer) }

    func contains(_ ip: IP?) -> Bool {
        guard let ip else { return false }
        return networks.contains { $0.contains(ip) }
    }
}

extension PeerID {
    /// Reads a node ID, `<public key hex>#<key type>`, or a peer ID.
    init?(nodeOrPeer text: String) {
        if let key = try? PublicKey(nodeID: text) {
            self = key.peerID
        } else if let peer = try? PeerID(text) {
            self = peer
        } else {
            return nil
        }
    }
}
