import Bytes
import Crypto
import LibP2P
import Multiformats
import Reactor

/// Decides which announced transactions are fetched.
@ReactorActor
package protocol TransactionInbox: AnyObject {
    /// Whether to fetch a transaction that a peer announces: it is not here, and no other peer has been asked for it.
    /// If so, `fetchEnded` follows.
    func isWanted(_ id: Hash, from peer: PeerID) async -> Bool
    /// The transaction has been fetched, or will not be.
    func fetchEnded(_ id: Hash, from peer: PeerID, _ outcome: TransactionAnnouncementProtocol.Outcome)
}

/// `/kwil/txann/1.0.0`: the announcement of one transaction, and the transaction if the peer requests it (docs/wire.md,
/// section 7).
@ReactorActor
public struct TransactionAnnouncementProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/kwil/txann/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "transactions"
    static let prefix = Array("txann:".utf8)

    private let inbox: any TransactionInbox
    private let source: any TransactionSource
    private let gate: BulkGate

    /// How fetching a transaction has ended.
    package enum Outcome {
        /// It is here.
        case delivered
        /// The peer has not sent it.
        case undelivered
        /// This node had no room for it.
        case unread
    }

    /// Fetches transactions that `inbox` wants into `source`, long ones with a place at `gate`.
    package init(_ inbox: any TransactionInbox, _ source: any TransactionSource, _ gate: BulkGate) {
        self.inbox = inbox
        self.source = source
        self.gate = gate
    }

    /// Takes one announcement, in the dialect of its first bytes, and the transaction if it is wanted.
    public func serve(_ stream: Stream) async throws {
        let peer = stream.remotePeer
        let id = try await stream.readHashRequest(Self.prefix).hash
        guard await inbox.isWanted(id, from: peer) else { return }
        let place = BulkPlace(gate, peer)
        defer { place.leave() }
        let bytes: SharedBytes
        do {
            bytes = try await fetch(id, stream, place)
        } catch {
            inbox.fetchEnded(id, from: peer, place.isRefused ? .unread : .undelivered)
            throw error
        }
        // The peer is not to blame for the time that this node takes to check it.
        inbox.fetchEnded(id, from: peer, .delivered)
        stream.close()
        guard await source.receive([(id, bytes)], from: peer) else {
            throw ProtocolsError.forged("a transaction that was refused")
        }
    }

    private func fetch(_ id: Hash, _ stream: Stream, _ place: BulkPlace) async throws -> SharedBytes {
        stream.setTimeout(ProtocolLimits.transaction)
        try await stream.write(Stream.get)
        let bytes = try await stream.readRest(limit: source.transactionLimit, place)
        guard Hash.sha256(of: bytes) == id else { throw ProtocolsError.forged("another transaction") }
        return bytes
    }

    /// Announces a transaction to a peer and sends it on request. Returns whether it did.
    @discardableResult
    public static func announce(
        _ id: Hash, _ bytes: SharedBytes, to peer: PeerID, on host: Host
    ) async throws(ProtocolsError) -> Bool {
        let dialect = PeerTraits(host.identity(of: peer)?.protocols ?? []).transactionDialect
        return try await exchange(host, peer, ids) { stream in
            try await stream.write(dialect == .text ? prefix + Array(id.description.utf8) : id.array)
            return try await stream.sendOnRequest(bytes, within: ProtocolLimits.transaction)
        }
    }
}

/// `/kwil/txann/1.0.0` on a blocks-only node: it ends every stream at once. kwil-db drops peers that do not advertise the
/// protocol.
struct DeclinedTransactionAnnouncementProtocol: StreamProtocol {
    nonisolated static let ids = TransactionAnnouncementProtocol.ids

    func serve(_ stream: Stream) {}
}
