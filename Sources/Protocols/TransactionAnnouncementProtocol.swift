import Bytes
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

    /// What came of a transaction that was to be fetched.
    public enum Outcome {
        /// It is here.
        case delivered
        /// The peer has not sent it.
        case undelivered
        /// There was no room for it.
        case unread
    }

    /// Fetches into `source`, long transactions with a place at `gate`.
    package init(_ source: any TransactionSource, _ gate: BulkGate) {
        self.source = source
        self.gate = gate
    }

    /// Takes one announcement, in the dialect of its first bytes. `claim` says whether the transaction is wanted: it is not
    /// here, and nobody else fetches it. `release` follows as soon as that is over.
    public func serve(
        _ stream: Stream, claim: @ReactorActor (Hash) async -> Bool,
        release: @ReactorActor (Hash, Outcome) -> Void
    ) async {
        await Protocols.serve(stream) {
            let first = try await stream.readExactly(Self.prefix.count)
            let id =
                first == Self.prefix
                ? try await stream.readHexHash()
                : try Hash(first + (try await stream.readExactly(Hash.count - first.count)))
            guard await claim(id) else { return }
            let place = BulkPlace(gate, stream.remotePeer)
            defer { place.leave() }
            let bytes: SharedBytes
            do {
                bytes = try await fetch(id, stream, place)
            } catch {
                release(id, place.isRefused ? .unread : .undelivered)
                throw error
            }
            // How long this node takes to check it is no fault of the peer's.
            release(id, .delivered)
            stream.close()
            guard await source.receive([(id, bytes)], from: stream.remotePeer) else {
                throw ProtocolsError.forged("a transaction that was refused")
            }
        }
    }

    private func fetch(_ id: Hash, _ stream: Stream, _ place: BulkPlace) async throws -> SharedBytes {
        stream.setTimeout(ProtocolLimits.transaction)
        try await stream.write(Stream.get)
        let bytes = try await stream.readRest(limit: source.transactionLimit, place)
        guard Hash.sha256(of: bytes) == id else { throw ProtocolsError.forged("another transaction") }
        return bytes
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
