import Bytes
import Crypto
import LibP2P
import Multiformats
import Reactor

/// What the transaction protocols need from the node.
@ReactorActor
public protocol TransactionSource: AnyObject {
    /// Those of `ids` that are to be fetched, in order: they do not wait, were not mined, are not being checked, and were
    /// not refused lately.
    func wanted(_ ids: [Hash]) async -> [Hash]
    /// The bytes of transactions, to be served, nil for unknown ones: of `ids` the first, at least one, until so many bytes
    /// are reached.
    func transactions(_ ids: [Hash], bytes limit: Int) async -> [SharedBytes?]
    /// Takes transactions that a peer sent because they were asked for: their hashes are right, nothing else is
    /// checked. Returns when the node is ready for more; false ends the exchange with the peer.
    func receive(_ transactions: [(id: Hash, bytes: SharedBytes)], from peer: PeerID) async -> Bool
    /// Bytes of the longest transaction that could be kept now: no reader takes more.
    var transactionLimit: Int { get }
    /// Whether a peer is no stranger: a validator, one that the operator named, or one that this node has dialled.
    func trusts(_ peer: PeerID) -> Bool
}

extension TransactionSource {
    /// A transaction's bytes, to be served; nil for an unknown one.
    func transaction(_ id: Hash) async -> SharedBytes? { await transactions([id], bytes: 1).first ?? nil }
}

/// `/kwil/tx/1.0.0`: a transaction by its ID (docs/wire.md, section 7).
@ReactorActor
public struct TransactionProtocol {
    static let prefix = Array("gettx:".utf8)

    private let source: any TransactionSource

    /// Serves from `source`.
    public init(_ source: any TransactionSource) { self.source = source }

    /// Answers one request, in the dialect of its first bytes.
    public func serve(_ stream: Stream) async {
        await Protocols.serve(stream) {
            let first = try await stream.readExactly(Self.prefix.count)
            let dialect: Dialect = first == Self.prefix ? .text : .binary
            let id =
                dialect == .text
                ? try await stream.readHexHash()
                : try Hash(first + (try await stream.readExactly(Hash.count - first.count)))
            stream.setTimeout(ProtocolLimits.transaction)
            if let bytes = await source.transaction(id) {
                try await stream.write(bytes)
            } else {
                try await stream.write(dialect.noData)
            }
        }
    }

    /// Asks a peer for a transaction of at most `limit` bytes; nil when it has none. Waits for a place once the transaction
    /// turns out to be long. What comes has the right hash; nothing else is checked.
    package static func request(
        _ id: Hash, from peer: PeerID, on host: Host, limit: Int, _ place: BulkPlace
    ) async throws(ProtocolsError) -> SharedBytes? {
        let dialect = PeerTraits(host.identity(of: peer)?.protocols ?? []).transactionDialect
        return try await exchange(host, peer, [KwilProtocol.transaction]) { stream in
            try await stream.write(dialect == .text ? prefix + Array(id.description.utf8) : id.array)
            stream.setTimeout(ProtocolLimits.transaction)
            let bytes = try await stream.readRest(limit: limit, place)
            if bytes.count <= 1 { return nil }
            guard Hash.sha256(of: bytes) == id else {
                throw ProtocolsError.wrongContent("another transaction")
            }
            return bytes
        }
    }
}
