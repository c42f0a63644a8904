import Chain
import Collections
import Crypto
import Mempool
import Reactor

/// Clients that wait for the commit of their transactions.
@ReactorActor
final class CommitWaiters {
    /// The maximum number of transactions waited for. `RPCDispatcher` shares them among clients by address.
    nonisolated static let limit = 10_000

    /// What has become of a transaction.
    enum Outcome {
        /// A block holds it.
        case committed(TransactionResult)
        /// The mempool has dropped it.
        case lost(Loss.Reason)
    }

    private typealias Clients = WaitQueue<Void, Outcome>

    private var waiting: OrderedDictionary<Hash, Clients> = [:]

    /// The number of transactions waited for.
    var transactions: Int { waiting.count }

    /// Whether the limit is reached.
    var isFull: Bool { transactions >= Self.limit }

    /// Returns what has become of the transaction once it is committed or dropped; nil after `timeout`, when the node stops,
    /// or when the client is gone.
    func wait(for id: Hash, timeout: Duration) async -> Outcome? {
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
        waiting.removeValue(forKey: id)?.wakeAll(.committed(result))
    }

    /// Wakes the clients that wait for a transaction that the mempool has dropped.
    func lost(_ loss: Loss) { waiting.removeValue(forKey: loss.id)?.wakeAll(.lost(loss.reason)) }

    /// Wakes all clients without a result.
    func stop() {
        let all = waiting.values
        waiting = [:]
        for clients in all { clients.wakeAll(nil) }
    }
}
