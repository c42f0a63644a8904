import Multiformats

/// What a host remembers about one peer.
public struct PeerRecord: Equatable, Sendable {
    /// An address with its history.
    public struct Address: Equatable, Sendable {
        /// Without a peer ID.
        public var address: Multiaddr
        /// Attempts that have failed since the last that did not.
        public var failures = 0
        /// When the peer last answered there, in Unix seconds; 0 for never.
        public var lastConnected: Int64 = 0

        /// Whether this is the one to try first: fewer failures, then answered later, then by text, so that the order
        /// is the same everywhere.
        func isBetter(than other: Address) -> Bool {
            if failures != other.failures { return failures < other.failures }
            if lastConnected != other.lastConnected { return lastConnected > other.lastConnected }
            return address.description < other.address.description
        }
    }

    /// Whom this is about.
    public let peer: PeerID
    /// In the order learned.
    public internal(set) var addresses: [Address] = []
    /// What the peer said it speaks.
    public internal(set) var protocols: [ProtocolID] = []
    /// When the peer was last connected, in Unix seconds; 0 for never.
    public internal(set) var lastSeen: Int64 = 0

    init(peer: PeerID) {
        self.peer = peer
    }

    /// Adds an address if it is new. In a full record the worst one has to go, if it has failed.
    mutating func insert(_ address: Multiaddr) {
        guard !addresses.contains(where: { $0.address == address }) else { return }
        if addresses.count >= PeerStore.maximumAddresses {
            guard let worst = addresses.indices.max(by: { addresses[$0].isBetter(than: addresses[$1]) }),
                addresses[worst].failures > 0
            else { return }
            addresses.remove(at: worst)
        }
        addresses.append(Address(address: address))
    }

    /// Changes an address's history, adding the address if there is room.
    mutating func update(_ address: Multiaddr, _ body: (inout Address) -> Void) {
        insert(address)
        guard let index = addresses.firstIndex(where: { $0.address == address }) else { return }
        body(&addresses[index])
    }

    /// Whether this peer is more worth remembering: seen later, then with an address that fails less.
    func isBetter(than other: PeerRecord) -> Bool {
        if lastSeen != other.lastSeen { return lastSeen > other.lastSeen }
        let (own, others) = (fewestFailures, other.fewestFailures)
        return own != others ? own < others : peer < other.peer
    }

    private var fewestFailures: Int { addresses.map(\.failures).min() ?? .max }
}
