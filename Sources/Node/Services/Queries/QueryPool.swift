import Chain
import Execution
import Log
import Reactor
import Synchronization

/// Answers queries in separate processes, each one query at a time: whatever SQL does inside SQLite costs one query
/// (docs/execution.md, "Queries").
final class QueryPool: QueryService {
    /// The number of processes. With two, a long query does not hold up all others; more would cost too much, since
    /// each may use the memory and processor time of `QueryLimits`.
    static let size = 2
    /// The maximum number of queries that wait for a process. Short queries take milliseconds. `ReplyBudget` decides
    /// before which client is next, so that clients submit no more queries at once than there are processes.
    static let capacity = 64
    /// The time between two checks for idle processes that something else has killed.
    private static let rounds = Duration.seconds(1)

    private struct Waiter {
        let number: UInt64
        let turn: CheckedContinuation<QueryProcess?, Never>
    }

    private struct State {
        var idle: [QueryProcess]
        /// In order of arrival.
        var waiting: [Waiter] = []
        var count: UInt64 = 0
        var peak = 0
        var isStopped = false
    }

    private let processes: [QueryProcess]
    private let state: Mutex<State>

    /// Creates a pool of `processes`, which start with the first query unless `start` is called.
    init(_ processes: [QueryProcess]) {
        self.processes = processes
        state = Mutex(State(idle: processes))
    }

    /// Starts the processes and checks on them until `stop`.
    @ReactorActor
    func start() {
        for process in processes { Reactor.spawn { await process.prepare() } }
        look()
    }

    @ReactorActor
    private func look() {
        guard !state.withLock({ $0.isStopped }) else { return }
        for process in processes { process.clear() }
        Reactor.schedule(after: Self.rounds) { [weak self] in self?.look() }
    }

    func answer(_ sql: String, _ parameters: [RawStatement.Parameter]) async throws(ExecutionError)
        -> QueryResult
    {
        let call = try QueryCall(QueryQuestion(sql, parameters))
        let process = try await take()
        let outcome = await process.answer(call)
        give(back: process)
        return try outcome.get()
    }

    var peakWaiting: (count: Int, limit: Int) { (state.withLock { $0.peak }, Self.capacity) }

    func stop() async {
        let waiting = state.withLock { state in
            state.isStopped = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in waiting { waiter.turn.resume(returning: nil) }
        for process in processes { process.end() }
        for process in processes { await process.finish() }
    }

    func abandon() { for process in processes { process.end() } }

    /// Waits for an idle process.
    private func take() async throws(ExecutionError) -> QueryProcess {
        let (process, number) = try state.withLock {
            (state) throws(ExecutionError) -> (QueryProcess?, UInt64) in
            if state.isStopped { throw .closed }
            if let process = state.idle.popLast() { return (process, 0) }
            guard state.waiting.count < Self.capacity else { throw .tooManyQueries }
            state.count &+= 1
            return (nil, state.count)
        }
        if let process { return process }
        let next = await withTaskCancellationHandler {
            await withCheckedContinuation { (turn: CheckedContinuation<QueryProcess?, Never>) in
                let answer: QueryProcess?? = state.withLock { state in
                    if Task.isCancelled || state.isStopped { return .some(nil) }
                    if let process = state.idle.popLast() { return process }
                    state.waiting.append(Waiter(number: number, turn: turn))
                    state.peak = max(state.peak, state.waiting.count)
                    return nil
                }
                if let answer { turn.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0) }
            }
            waiter?.turn.resume(returning: nil)
        }
        guard let next else {
            throw state.withLock { $0.isStopped } ? .closed : .queryProcess("the client is gone")
        }
        return next
    }

    private func give(back process: QueryProcess) {
        let waiter = state.withLock { state in
            if state.waiting.isEmpty {
                state.idle.append(process)
                return nil as Waiter?
            }
            return state.waiting.removeFirst()
        }
        waiter?.turn.resume(returning: process)
    }
}

/// A query in a process.
final class QueryCall: Sendable {
    /// The frame sent to the process.
    let frame: [UInt8]
    /// The limits of the query.
    let limits: QueryLimits
    private let gone = Mutex(false)

    init(_ question: QueryQuestion) throws(ExecutionError) {
        guard let frame = question.frame else { throw .invalidQuery("the query is too large") }
        self.frame = frame
        limits = question.limits
    }

    /// Whether the client is gone.
    var isGone: Bool { gone.withLock { $0 } }

    /// Notes that the client is gone.
    func abandon() { gone.withLock { $0 = true } }
}
