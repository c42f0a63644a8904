import Crypto
import LibP2P
import Multiformats
import Reactor

/// `/kwil/txann/1.0.0`: the announcement of one transaction, and its content if the peer wants it (docs/wire.md,
/// section 7).
@ReactorActor
public struct TransactionAnnouncementProtocol {
    static let prefix = Array("txann:".utf8)

    private let source: any TransactionSource
    private let gate: BulkGate

    /// Fetches into `source`.
    public init(_ source: any TransactionSource) { self.init(source, BulkGate()) }

    init(_ source: any TransactionSource, _ gate: BulkGate) {
        self.source = source
        self.gate = gate
    }

    /// Takes one announcement, in the dialect of its first bytes. `claim` keeps a transaction from being fetched
    /// from two peers at once: true when nobody else fetches it. `release` follows, and says whether it came.
    public func serve(
        _ stream: Stream, claim: @ReactorActor (Hash) -> Bool, release: @ReactorActor (Hash, Bool) -> Void
    ) async {
        await Protocols.serve(stream) {
            let first = try await stream.readExactly(Self.prefix.count)
            let id =
                first == Self.prefix
                ? try await stream.readHexHash()
                : try Hash(first + (try await stream.readExactly(Hash.count - first.count)))
            guard !source.has(id), claim(id) else { return }
            var came = false
            defer { release(id, came) }
            let place = BulkPlace(gate, stream.remotePeer, isTrusted: source.trusts(stream.remotePeer))
            defer { place.leave() }
            stream.setTimeout(ProtocolLimits.transaction)
            try await stream.write(Stream.get)
            let bytes = try await stream.readRest(limit: source.transactionLimit, place)
            guard Hash.sha256(of: bytes) == id else {
                throw ProtocolsError.forged("another transaction")
            }
            stream.close()
            came = true
            guard await source.receive([(id, bytes)], from: stream.remotePeer) else {
                throw ProtocolsError.forged("a transaction that was refused")
            }
        }
    }

    /// Announces a transaction to a peer and sends it if the peer wants it. Returns whether it did.
    @discardableResult
    public static func announce(
        _ id: Hash, _ bytes: SharedBytes, to peer: PeerID, on host: Host
    ) async throws(ProtocolsError) -> Bool {
        let dialect = PeerTraits(host.identity(of: peer)?.protocols ?? []).transactionDialect
        return try await exchange(host, peer, [KwilProtocol.transactionAnnouncement]) { stream in
            try await stream.write(dialect == .text ? prefix + Array(id.description.utf8) : id.array)
            guard try await stream.readGet() else { return false }
            stream.setTimeout(ProtocolLimits.transaction)
            try await stream.write(bytes)
            return true
        }
    }
}
