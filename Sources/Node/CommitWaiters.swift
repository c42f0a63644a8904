import Chain
import Collections
import Crypto
import Reactor

/// Clients that wait for their transactions' commit.
@ReactorActor
final class CommitWaiters {
    /// Transactions that may be waited for at once; clients share them by their addresses (`RPCDispatcher`).
    nonisolated static let limit = 10_000

    private struct Waiter {
        let number: UInt64
        let done: CheckedContinuation<TransactionResult?, Never>
    }

    private var waiters: OrderedDictionary<Hash, [Waiter]> = [:]
    private var count: UInt64 = 0

    /// Transactions that are waited for.
    var transactions: Int { waiters.count }

    /// Whether no more may wait.
    var isFull: Bool { transactions >= Self.limit }

    /// The transaction's result once it is committed; nil after `timeout`, when the node stops, or when the client that
    /// waits is gone.
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

    /// A block was committed.
    func committed(_ transactions: [Transaction], _ results: [TransactionResult]) {
        guard !waiters.isEmpty else { return }
        for (transaction, result) in zip(transactions, results) {
            committed(transaction.id, result)
        }
    }

    /// A transaction was committed.
    func committed(_ id: Hash, _ result: TransactionResult) {
        for waiter in waiters.removeValue(forKey: id) ?? [] { waiter.done.resume(returning: result) }
    }

    /// Nobody waits any longer.
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
