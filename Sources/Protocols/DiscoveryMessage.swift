import Foundation
import LibP2P
import Multiformats

/// The JSON that answers discovery, in both dialects (docs/wire.md, section 7). Keys are read in any case.
struct DiscoveryMessage {
    /// Peers in one answer.
    static let maxPeers = 256
    /// Addresses taken of one peer.
    static let maxAddresses = 16

    /// The chain of the peers; the text dialect does not say.
    let chainID: String?
    /// At most `maxPeers`.
    let peers: [DiscoveredPeer]

    init(chainID: String?, peers: [DiscoveredPeer]) {
        self.chainID = chainID
        self.peers = Array(peers.prefix(Self.maxPeers))
    }

    /// Reads either dialect's answer. Peers whose ID cannot be read, and addresses of unknown kinds, are left out.
    init(decoding bytes: [UInt8]) throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .custom { path in AnyKey(path.last?.stringValue.lowercased() ?? "") }
        let entries: [Entry]
        if bytes.first == UInt8(ascii: "[") {
            chainID = nil
            entries = try decoder.decode([Entry].self, from: Data(bytes))
        } else {
            let whole = try decoder.decode(Whole.self, from: Data(bytes))
            chainID = whole.chainID
            entries = whole.peers ?? []
        }
        peers = entries.prefix(Self.maxPeers).compactMap(\.peer)
    }

    /// The answer in a dialect.
    func encoded(_ dialect: Dialect) throws -> [UInt8] {
        let entries = peers.map(Entry.init)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        switch dialect {
        case .text: return Array(try encoder.encode(entries)) + Array("\n".utf8)
        case .binary: return Array(try encoder.encode(Whole(chainID: chainID ?? "", peers: entries)))
        }
    }

    private struct AnyKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ text: String) { stringValue = text }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private struct Entry: Codable {
        let id: String
        let addrs: [String]?
        let protos: [String]?

        init(_ peer: DiscoveredPeer) {
            id = peer.id.description
            addrs = peer.addresses.map(\.description)
            protos = peer.protocols.map(\.rawValue)
        }

        var peer: DiscoveredPeer? {
            guard let id = try? PeerID(id) else { return nil }
            let addresses = (addrs ?? []).prefix(maxAddresses).compactMap { try? Multiaddr($0) }
            let protocols = (protos ?? []).prefix(IdentifyInfo.maximumProtocols).map { ProtocolID($0) }
            return DiscoveredPeer(id: id, addresses: addresses, protocols: protocols)
        }
    }

    private struct Whole: Codable {
        enum CodingKeys: String, CodingKey {
            case chainID = "chain_id"
            case peers
        }

        let chainID: String
        let peers: [Entry]?
    }
}
