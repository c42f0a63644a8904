import Chain
import Collections
import Crypto
import Reactor

/// Clients that wait for the commit of their transactions.
@ReactorActor
final class CommitWaiters {
    /// The maximum number of transactions waited for. `RPCDispatcher` shares them among clients by address.
    nonisolated static let limit = 10_000

    private struct Waiter {
        let number: UInt64
        let done: CheckedContinuation<TransactionResult?, Never>
    }

    private var waiters: OrderedDictionary<Hash, [Waiter]> = [:]
    private var count: UInt64 = 0

    /// The number of transactions waited for.
    var transactions: Int { waiters.count }

    /// Whether the limit is reached.
    var isFull: Bool { transactions >= Self.limit }

    /// Returns the transaction's result once it is committed; nil after `timeout`, when the node stops, or when the
    /// client is gone.
    func wait(for id: Hash, timeout: Duration) async -> TransactionResult? {
        count &+= 1
        let number = count
        let timer = Reactor.schedule(after: timeout) { [weak self] in self?.giveUp(id, number) }
        defer { timer.cancel() }
        let loop = Reactor.loop
        return await withTaskCancellationHandler {
            await withCheckedContinuation {
                guard !Task.isCancelled else { return $0.resume(returning: nil) }
                waiters[id, default: []].append(Waiter(number: number, done: $0))
            }
        } onCancel: {
            loop.call { self.giveUp(id, number) }
        }
    }

    /// Wakes the clients that wait for the transactions of a committed block.
    func committed(_ transactions: [Transaction], _ results: [TransactionResult]) {
        guard !waiters.isEmpty else { return }
        for (transaction, result) in zip(transactions, results) {
            committed(transaction.id, result)
        }
    }

    /// Wakes the clients that wait for a committed transaction.
    func committed(_ id: Hash, _ result: TransactionResult) {
        for waiter in waiters.removeValue(forKey: id) ?? [] { waiter.done.resume(returning: result) }
    }

    /// Wakes all clients without a result.
    func stop() {
        let all = waiters.values.flatMap { $0 }
        waiters = [:]
        for waiter in all { waiter.done.resume(returning: nil) }
    }

    private func giveUp(_ id: Hash, _ number: UInt64) {
        guard let index = waiters[id]?.firstIndex(where: { $0.number == number }),
            let waiter = waiters[id]?.remove(at: index)
        else { return }
        if waiters[id]?.isEmpty == true { waiters[id] = nil }
        waiter.done.resume(returning: nil)
    }
}
