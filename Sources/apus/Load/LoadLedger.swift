import Chain
import Crypto
import Metrics
import Synchronization

/// What became of each transaction of a load. All times count from the load's start. Thread-safe.
final class LoadLedger: Sendable {
    private struct Waiting {
        /// When the transaction was due.
        let due: Duration
        /// Why it may not be in the mempool; nil if the node accepted it.
        var doubt: String?
    }

    private struct State {
        var waiting: [Hash: Waiting] = [:]
        var errors: [String: Int] = [:]
        var committed = 0
        var lastCommit = Duration.zero
    }

    /// From due to committed.
    let latency = Histogram()
    /// From due to sent.
    let delay = Histogram()
    private let state = Mutex(State())

    /// The number of transactions whose fate is open.
    var open: Int { state.withLock { $0.waiting.count } }

    /// The transactions are about to be sent.
    func sending(_ transactions: [(id: Hash, due: Duration)], at now: Duration) {
        state.withLock { state in
            for (id, due) in transactions { state.waiting[id] = Waiting(due: due) }
        }
        for (_, due) in transactions { delay.record(now - due) }
    }

    /// The node may or may not have received the transactions.
    func doubt(_ ids: [Hash], _ reason: String) {
        state.withLock { state in
            for id in ids { state.waiting[id]?.doubt = reason }
        }
    }

    /// The node refused a transaction.
    func refused(_ id: Hash, _ reason: String) {
        state.withLock { state in
            guard state.waiting.removeValue(forKey: id) != nil else { return }
            state.errors[reason, default: 0] += 1
        }
    }

    /// Transactions were not even sent.
    func failed(_ count: Int, _ reason: String) {
        if count > 0 { state.withLock { $0.errors[reason, default: 0] += count } }
    }

    /// A block has these transactions, of the load and of others. `results` belong to the same places.
    func committed(_ ids: [Hash], _ results: [TransactionResult], at now: Duration) {
        let latencies = state.withLock { state in
            zip(ids, results).compactMap { id, result -> Duration? in
                guard let waiting = state.waiting.removeValue(forKey: id) else { return nil }
                guard result.isOK else {
                    let code = TransactionCode(rawValue: result.code)?.description ?? "code \(result.code)"
                    state.errors["committed, but failed: \(code)", default: 0] += 1
                    return nil
                }
                state.committed += 1
                state.lastCommit = now
                return now - waiting.due
            }
        }
        for time in latencies { latency.record(time) }
    }

    /// Gives up transactions that were due before `time`.
    func giveUp(dueBefore time: Duration) {
        state.withLock { state in
            for (id, waiting) in state.waiting where waiting.due < time {
                state.waiting[id] = nil
                state.errors[waiting.doubt ?? "not committed in time", default: 0] += 1
            }
        }
    }

    /// The numbers so far.
    var totals: (committed: Int, lastCommit: Duration, errors: [String: Int]) {
        state.withLock { ($0.committed, $0.lastCommit, $0.errors) }
    }
}
