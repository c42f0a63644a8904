import LibP2P
import Reactor

/// `/apus/txann/1.0.0`: announcements of transactions, and the transactions that the peer requests, in batches on one long-lived
/// stream (docs/protocols.md).
///
/// `TransactionFrame` has the frames, `TransactionAnnouncer` the dialler's part of the dialogue, `TransactionListener` the other.
@ReactorActor
public struct TransactionBatchProtocol: StreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/apus/txann/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "transactions"
    /// The protocol's only ID.
    public nonisolated static let ids = [id]

    private let exchange: TransactionExchange

    init(_ exchange: TransactionExchange) { self.exchange = exchange }

    /// Listens until the peer ends the stream or breaks the rules.
    public func serve(_ stream: Stream) async throws { try await exchange.listen(stream) }
}
