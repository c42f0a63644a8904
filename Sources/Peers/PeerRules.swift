import Collections
import Multiformats

/// The operator's rules about peers: those to keep, admit, hide and block, and how many to hold (docs/peers.md).
package struct PeerRules: Sendable {
    /// This node.
    let own: PeerID
    /// Peers to keep connected, with their addresses: bootnodes, and sentries whose address is given.
    package private(set) var kept: OrderedDictionary<PeerID, [Multiaddr]> = [:]
    /// The named peers: those kept, sentries and the whitelist. Admitted in every role and mode.
    package private(set) var named: OrderedSet<PeerID> = []
    /// Whether only named peers and validators are admitted.
    package var isPrivate = false
    /// Peers that peer exchange never mentions.
    package private(set) var hidden: OrderedSet<PeerID> = []
    /// Peers and networks with which no connection is made or accepted.
    package var blocked = BlockList()
    /// The number of connections that the node tries to hold.
    package var target = 20
    /// The maximum number of connections.
    package var maximum = 200
    /// Whether the node takes part in peer exchange.
    package var tellsPeers = true

    /// Creates the default rules.
    package init(own: PeerID) { self.own = own }

    /// Keeps a peer connected, and adds an address to dial it at.
    package mutating func keep(_ peer: PeerID, at address: Multiaddr) {
        kept[peer, default: []].append(address.withoutPeerID)
        name(peer)
    }

    /// Admits a peer in every role and mode.
    package mutating func name(_ peer: PeerID) {
        if peer != own { named.append(peer) }
    }

    /// Hides a peer from peer exchange.
    package mutating func hide(_ peer: PeerID) { hidden.append(peer) }
}
