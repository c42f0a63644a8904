import Bytes
import Crypto
import LibP2P
import Multiformats
import Reactor

/// `/kwil/tx/1.0.0`: a transaction by its ID (docs/wire.md, section 7).
@ReactorActor
public struct TransactionProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/kwil/tx/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "transactions"
    static let prefix = Array("gettx:".utf8)

    private let source: any TransactionSource

    /// Serves from `source`.
    public init(_ source: any TransactionSource) { self.source = source }

    /// Answers one request, in the dialect of its first bytes.
    public func serve(_ stream: Stream) async throws {
        let (id, dialect) = try await stream.readHashRequest(Self.prefix)
        stream.setTimeout(ProtocolLimits.transaction)
        if let bytes = await source.transaction(id) {
            try await stream.write(bytes)
        } else {
            try await stream.write(dialect.noData)
        }
    }

    /// Requests a transaction of at most `limit` bytes from a peer; nil when it does not have it. Waits for a place if the
    /// transaction turns out to be long. The transaction has the requested hash; nothing else is checked.
    package static func request(
        _ id: Hash, from peer: PeerID, on host: Host, limit: Int, _ place: BulkPlace
    ) async throws(ProtocolsError) -> SharedBytes? {
        let dialect = PeerTraits(host.identity(of: peer)?.protocols ?? []).transactionDialect
        return try await exchange(host, peer, ids) { stream in
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
