import Chain
import Collections
import Crypto
import Reactor

/// Clients that wait for their transactions' commit.
@ReactorActor
final class CommitWaiters {
    /// Transactions that may be waited for at once; clients share them by their addresses (`RPCDispatcher`).
    nonisolated static let limit = 10_000

    private typealias Clients = WaitQueue<Void, TransactionResult>

    private var waiting: OrderedDictionary<Hash, Clients> = [:]

    /// Transactions that are waited for.
    var transactions: Int { waiting.count }

    /// Whether no more may wait.
    var isFull: Bool { transactions >= Self.limit }

    /// The transaction's result once it is committed; nil after `timeout`, when the node stops, or when the client that
    /// waits is gone.
    func wait(for id: Hash, timeout: Duration) async -> TransactionResult? {
        let clients = waiting[id] ?? Clients()
        waiting[id] = clients
        let result = await clients.wait(as: (), limit: timeout)
        if clients.count == 0, waiting[id] === clients { waiting[id] = nil }
        return result
    }

    /// A block was committed.
    func committed(_ transactions: [Transaction], _ results: [TransactionResult]) {
        guard !waiting.isEmpty else { return }
        for (transaction, result) in zip(transactions, results) {
            committed(transaction.id, result)
        }
    }

    /// A transaction was committed.
    func committed(_ id: Hash, _ result: TransactionResult) {
        waiting.removeValue(forKey: id)?.wakeAll(result)
    }

    /// Nobody waits any longer.
    func stop() {
        let all = waiting.values
        waiting = [:]
        for clients in all { clients.wakeAll(nil) }
    }
}
