import Multiformats
import Peers

/// Reads the `[p2p]` section.
extension PeerRules {
    /// Creates the rules of a configuration. Throws an error whose one-line description names the key and the fault.
    init(_ configuration: Configuration.P2P, own: PeerID) throws(NodeError) {
        self.init(own: own)
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
            hide(try Self.reference(text, in: "p2p.private_peers").peer)
        }
        for text in configuration.blocklist {
            guard let entry = BlockList.Entry(text) else {
                throw .failed("p2p.blocklist: \"\(text)\" is no node ID, peer ID, IP address or network")
            }
            blocked.insert(entry)
        }
    }

    /// Parses a node ID, a peer ID, or an address that ends with either.
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
        throw .failed("\(key): \"\(text)\" does not end with a node ID or peer ID")
    }
}
