import Multiformats

/// What a host remembers of one peer.
public struct PeerRecord: Equatable, Sendable {
    /// An address with its history.
    public struct Address: Equatable, Sendable {
        /// The address, without a peer ID.
        public var address: Multiaddr
        /// The number of failed attempts since the last success.
        public var failures = 0
        /// When the peer last answered there, in Unix seconds; 0 for never.
        public var lastConnected: Int64 = 0
        /// Whether only other peers have named it, and neither the peer itself nor a connection.
        public var isHearsay = false

        /// Whether the peer has answered there.
        public var isVerified: Bool { lastConnected > 0 }

        /// Whether to try this address first: no hearsay before hearsay, then fewer failures, then the later answer,
        /// then by text, so that the order is the same everywhere.
        func isBetter(than other: Address) -> Bool {
            if isHearsay != other.isHearsay { return other.isHearsay }
            if failures != other.failures { return failures < other.failures }
            if lastConnected != other.lastConnected { return lastConnected > other.lastConnected }
            return address.description < other.address.description
        }
    }

    /// The peer.
    public let peer: PeerID
    /// Its addresses, in the order learned.
    public internal(set) var addresses: [Address] = []
    /// The protocols that the peer has listed in identify.
    public internal(set) var protocols: [ProtocolID] = []
    /// When the peer was last connected, in Unix seconds; 0 for never.
    public internal(set) var lastSeen: Int64 = 0

    /// The peer that first named this one; nil once this one has connected or named its own addresses, and in records
    /// from the file.
    var teller: PeerID?

    /// Whether the peer has answered at one of the addresses.
    public var isVerified: Bool { addresses.contains(where: \.isVerified) }

    /// Adds an address if it is new. In a full record it replaces the worst one, if that has failed, or is hearsay and
    /// the new one is not. Hearsay has fewer places and replaces only hearsay.
    mutating func insert(_ address: Multiaddr, isHearsay: Bool = false) {
        if let index = addresses.firstIndex(where: { $0.address == address }) {
            if !isHearsay { addresses[index].isHearsay = false }
            return
        }
        let rivals = addresses.indices.filter { !isHearsay || addresses[$0].isHearsay }
        if addresses.count >= PeerStore.maximumAddresses
            || isHearsay && rivals.count >= PeerStore.maximumHearsay
        {
            guard let worst = rivals.max(by: { addresses[$0].isBetter(than: addresses[$1]) }),
                addresses[worst].failures > 0 || addresses[worst].isHearsay && !isHearsay
            else { return }
            addresses.remove(at: worst)
        }
        addresses.append(Address(address: address, isHearsay: isHearsay))
    }

    /// Changes an address's history, adding the address if there is room.
    mutating func update(_ address: Multiaddr, _ body: (inout Address) -> Void) {
        insert(address)
        guard let index = addresses.firstIndex(where: { $0.address == address }) else { return }
        body(&addresses[index])
    }

    /// Whether this peer is more worth remembering: one that has answered, then the one seen later, then the one whose
    /// best address has failed less.
    func isBetter(than other: PeerRecord) -> Bool {
        if isVerified != other.isVerified { return isVerified }
        if lastSeen != other.lastSeen { return lastSeen > other.lastSeen }
        let (own, others) = (fewestFailures, other.fewestFailures)
        return own != others ? own < others : peer < other.peer
    }

    private var fewestFailures: Int { addresses.map(\.failures).min() ?? .max }
}
