import LibP2P
import Multiformats
import Reactor

/// A peer as discovery tells of it.
public struct DiscoveredPeer: Hashable, Sendable {
    /// Who it is.
    public let id: PeerID
    /// Where it can be reached, without the peer ID.
    public let addresses: [Multiaddr]
    /// What it speaks, as far as known.
    public let protocols: [ProtocolID]

    /// A peer by its parts.
    public init(id: PeerID, addresses: [Multiaddr], protocols: [ProtocolID]) {
        self.id = id
        self.addresses = addresses
        self.protocols = protocols
    }
}

/// What discovery needs from the node.
@ReactorActor
public protocol PeerDirectory: AnyObject {
    /// The node's chain.
    var chainID: String { get }
    /// Peers to tell this one about; nil when the node exchanges no peers.
    func peers(toTell peer: PeerID) -> [DiscoveredPeer]?
}

/// `/kwil/discovery/1.0.0`: peer exchange (docs/wire.md, section 7).
@ReactorActor
public struct DiscoveryProtocol {
    static let request = Array("discover_peers\n".utf8)

    private let directory: any PeerDirectory
    private let host: Host

    /// Serves from `directory`; `host` knows what peers advertise.
    public init(_ directory: any PeerDirectory, host: Host) {
        self.directory = directory
        self.host = host
    }

    /// Answers one request. A peer that advertises a chain sends nothing and is answered in binary at once; any
    /// other is read from first.
    public func serve(_ stream: Stream) async {
        await Protocols.serve(stream) {
            guard let peers = directory.peers(toTell: stream.remotePeer) else { return }
            // A binary initiator sends nothing, and may ask before this side has identified it.
            let identity = await host.identity(of: stream.remotePeer, within: ProtocolLimits.identify)
            let traits = PeerTraits(identity?.protocols ?? [])
            let answer: [UInt8]
            if traits.chainID != nil {
                answer = DiscoveryMessage(chainID: directory.chainID, peers: peers).encoded(.binary)
            } else {
                guard try await stream.readExactly(Self.request.count) == Self.request else {
                    throw ProtocolsError.malformed("discovery request")
                }
                answer = DiscoveryMessage(chainID: nil, peers: peers).encoded(.text)
            }
            try await stream.write(answer)
        }
    }

    /// Asks a peer for others. Entries that cannot be read are left out; a list for another chain is refused.
    public static func request(
        from peer: PeerID, chainID: String, on host: Host
    ) async throws(ProtocolsError) -> [DiscoveredPeer] {
        let traits = PeerTraits(host.identity(of: peer)?.protocols ?? [])
        return try await exchange(host, peer, [KwilProtocol.discovery]) { stream in
            if traits.chainID == nil {
                try await stream.write(request)
            } else {
                stream.closeWrite()
            }
            let answer = try await stream.readToEnd(limit: ProtocolLimits.discoveryBytes)
            if answer.isEmpty { return [] }
            let message = try DiscoveryMessage(decoding: answer)
            guard message.chainID.map({ $0.utf8.elementsEqual(chainID.utf8) }) ?? true else {
                throw ProtocolsError.wrongContent("peers of another chain")
            }
            return message.peers
        }
    }
}
