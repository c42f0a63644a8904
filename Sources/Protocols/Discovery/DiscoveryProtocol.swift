import LibP2P
import Multiformats
import Reactor

/// A peer that discovery tells about.
public struct DiscoveredPeer: Hashable, Sendable {
    /// The peer's ID.
    public let id: PeerID
    /// Its addresses, without the peer ID.
    public let addresses: [Multiaddr]
    /// The protocols that it speaks, as far as known.
    public let protocols: [ProtocolID]

    /// A peer made of its parts.
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
    /// The peers to tell this one about; nil when the node exchanges no peers.
    func peers(toTell peer: PeerID) -> [DiscoveredPeer]?
}

/// `/kwil/discovery/1.0.0`: peer exchange (docs/wire.md, section 7).
@ReactorActor
public struct DiscoveryProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/kwil/discovery/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "peers"
    static let request = Array("discover_peers\n".utf8)

    private let directory: any PeerDirectory
    private let host: Host

    /// Serves from `directory`; `host` knows what peers advertise.
    public init(_ directory: any PeerDirectory, host: Host) {
        self.directory = directory
        self.host = host
    }

    /// Answers one request. A peer that advertises a chain sends none and is answered in the binary dialect at once; from any
    /// other a request is read first.
    public func serve(_ stream: Stream) async throws {
        guard let peers = directory.peers(toTell: stream.remotePeer) else { return }
        // An initiator of the binary dialect sends nothing, and may open the stream before identify has finished.
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

    /// Requests other peers from a peer. Entries that cannot be read are left out; a list for another chain is refused.
    public static func request(
        from peer: PeerID, chainID: String, on host: Host
    ) async throws(ProtocolsError) -> [DiscoveredPeer] {
        let traits = PeerTraits(host.identity(of: peer)?.protocols ?? [])
        return try await exchange(host, peer, ids) { stream in
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
