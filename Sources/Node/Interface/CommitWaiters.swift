import Chain
import Collections
import Crypto
import Reactor

/// Clients that wait for the commit of their transactions.
@ReactorActor
final class CommitWaiters {
    /// The maximum number of transactions waited for. `RPCDispatcher` shares them among clients by address.
    nonisolated static let limit = 10_000

    private typealias Clients = WaitQueue<Void, TransactionResult>

    private var waiting: OrderedDictionary<Hash, Clients> = [:]

    /// The number of transactions waited for.
    var transactions: Int { waiting.count }

    /// Whether the limit is reached.
    var isFull: Bool { transactions >= Self.limit }

    /// Returns the transaction's result once it is committed; nil after `timeout`, when the node stops, or when the
    /// client is gone.
    func wait(for id: Hash, timeout: Duration) async -> TransactionResult? {
        let clients = waiting[id] ?? Clients()
        waiting[id] = clients
        let result = await clients.wait(as: (), limit: timeout)
        if clients.count == 0, waiting[id] === clients { waiting[id] = nil }
        return result
    }

    /// Wakes the clients that wait for the transactions of a committed block.
    func committed(_ transactions: [Transaction], _ results: [TransactionResult]) {
        guard !waiting.isEmpty else { return }
        for (transaction, result) in zip(transactions, results) {
            committed(transaction.id, result)
        }
    }

    /// Wakes the clients that wait for a committed transaction.
    func committed(_ id: Hash, _ result: TransactionResult) {
        waiting.removeValue(forKey: id)?.wakeAll(result)
    }

    /// Wakes all clients without a result.
    func stop() {
        let all = waiting.values
        waiting = [:]
        for clients in all { clients.wakeAll(nil) }
    }
}
