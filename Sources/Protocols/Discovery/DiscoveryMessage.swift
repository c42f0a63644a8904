import Bytes
import JSON
import LibP2P
import Multiformats

/// The JSON that answers a discovery request, in both dialects (docs/wire.md, section 7). Keys are read in any case.
struct DiscoveryMessage {
    /// The most peers in one answer.
    static let maxPeers = 256
    /// The most addresses taken of one peer.
    static let maxAddresses = 16

    /// The peers' chain; nil in the text dialect, which does not tell.
    let chainID: String?
    /// At most `maxPeers`.
    let peers: [DiscoveredPeer]

    init(chainID: String?, peers: [DiscoveredPeer]) {
        self.chainID = chainID
        self.peers = Array(peers.prefix(Self.maxPeers))
    }

    /// Reads an answer in either dialect. Peers whose ID cannot be read and addresses of unknown kinds are left out.
    init(decoding bytes: [UInt8]) throws(JSONError) {
        let root = try JSONDocument(bytes).root
        let entries: JSONArray?
        if case .array = root.kind {
            chainID = nil
            entries = try root.array()
        } else {
            let whole = try root.object()
            guard let chain = Self.member("chain_id", of: whole) else {
                throw JSONError(.missing, path: "chain_id")
            }
            chainID = try chain.string()
            entries = try Self.member("peers", of: whole)?.array()
        }
        var peers: [DiscoveredPeer] = []
        if let entries {
            for entry in entries.prefix(Self.maxPeers) {
                if let peer = try Self.peer(entry) { peers.append(peer) }
            }
        }
        self.peers = peers
    }

    private static func peer(_ entry: JSONValue) throws(JSONError) -> DiscoveredPeer? {
        let members = try entry.object()
        guard let idValue = member("id", of: members) else {
            throw JSONError(.missing, path: "\(entry.path).id")
        }
        let id = try? PeerID(try idValue.string())
        var addresses: [Multiaddr] = []
        if let list = member("addrs", of: members) {
            for text in try list.array().prefix(maxAddresses) {
                if let address = try? Multiaddr(try text.string()) { addresses.append(address) }
            }
        }
        var protocols: [ProtocolID] = []
        if let list = member("protos", of: members) {
            for text in try list.array().prefix(IdentifyInfo.maximumProtocols) {
                protocols.append(ProtocolID(try text.string()))
            }
        }
        return id.map { DiscoveredPeer(id: $0, addresses: addresses, protocols: protocols) }
    }

    /// The first member with this name in any case; nil if there is none or it is null.
    private static func member(_ name: StaticString, of object: JSONObject) -> JSONValue? {
        let wanted = object.first { key, _ in key.withUnsafeBytes { $0.equalsIgnoringCase(name) } }
        return wanted.flatMap { $0.value.isNull ? nil : $0.value }
    }

    /// The answer in this dialect.
    func encoded(_ dialect: Dialect) -> [UInt8] {
        var writer = JSONWriter(capacity: 4096)
        switch dialect {
        case .text:
            encodePeers(&writer)
            writer.endLine()
        case .binary:
            writer.object {
                $0.member("chain_id", text: chainID ?? "")
                $0.name("peers")
                encodePeers(&$0)
            }
        }
        return writer.bytes
    }

    private func encodePeers(_ writer: inout JSONWriter) {
        writer.array { list in
            for peer in peers {
                list.object {
                    $0.array("addrs", of: peer.addresses) { $0.text($1.description) }
                    $0.member("id", text: peer.id.description)
                    $0.array("protos", of: peer.protocols) { $0.text($1.rawValue) }
                }
            }
        }
    }
}
