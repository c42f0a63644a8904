import Collections
import Multiformats

/// The peers and networks with which no connection is made or accepted.
package struct BlockList: Sendable, Equatable {
    /// A peer or a network.
    package enum Entry: Hashable, Sendable {
        case peer(PeerID)
        case network(IPNetwork)

        /// Reads a node ID, a peer ID, an IP address or a network such as `10.0.0.0/8`.
        package init?(_ text: String) {
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

    /// An empty list.
    package init() {}

    package mutating func insert(_ entry: Entry) {
        switch entry {
        case .peer(let peer): peers.append(peer)
        case .network(let network): networks.append(network)
        }
    }

    package func contains(_ peer: PeerID) -> Bool { peers.contains(peer) }

    package func contains(_ ip: IP?) -> Bool {
        guard let ip else { return false }
        return networks.contains { $0.contains(ip) }
    }
}
