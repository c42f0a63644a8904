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

    private struct State {
        var idle: [QueryProcess]
        var waiting = WaitLine<Void, Result<QueryProcess, ExecutionError>>()
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
            return state.waiting.removeAll()
        }
        for waiter in waiting { waiter.resume(returning: .failure(.closed)) }
        for process in processes { process.end() }
        for process in processes { await process.finish() }
    }

    func abandon() { for process in processes { process.end() } }

    /// Waits for an idle process.
    private func take() async throws(ExecutionError) -> QueryProcess {
        let turn = await state.wait(in: { $1(&$0.waiting) }, as: ()) { state in
            if state.isStopped { return .failure(.closed) }
            if let process = state.idle.popLast() { return .success(process) }
            guard state.waiting.count < Self.capacity else { return .failure(.tooManyQueries) }
            state.peak = max(state.peak, state.waiting.count + 1)
            return nil
        }
        guard let turn else { throw .queryProcess("the client is gone") }
        return try turn.get()
    }

    private func give(back process: QueryProcess) {
        let waiter = state.withLock { state in
            let next = state.waiting.popFirst()
            if next == nil { state.idle.append(process) }
            return next
        }
        waiter?.resume(returning: .success(process))
    }
}

/// A query in a process.
final class QueryCall: Sendable {
    /// The statement, for the log.
    let sql: String
    /// The frame sent to the process.
    let frame: [UInt8]
    /// The limits of the query.
    let limits: QueryLimits
    private let gone = Mutex(false)

    init(_ question: QueryQuestion) throws(ExecutionError) {
        guard let frame = question.frame else { throw .invalidQuery("the query is too large") }
        self.frame = frame
        sql = question.sql
        limits = question.limits
    }

    /// Whether the client is gone.
    var isGone: Bool { gone.withLock { $0 } }

    /// Notes that the client is gone.
    func abandon() { gone.withLock { $0 = true } }
}
