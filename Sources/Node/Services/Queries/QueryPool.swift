import Chain
import Execution
import Log
import Reactor
import Synchronization

/// Answers queries in processes of their own, one query a process at a time; what SQL does inside SQLite costs one query
/// (docs/execution.md, "Queries").
final class QueryPool: QueryService {
    /// Processes: one more than one, so that a long query does not keep all others waiting, and few, as each may take what
    /// `QueryLimits` says of memory and a processor.
    static let size = 2
    /// Queries that wait for a process at most; of the shortest kind they are answered within milliseconds. Who among clients
    /// is next is decided before (`ReplyBudget`), so that no more of theirs come at once than there are processes.
    static let capacity = 64
    /// How often processes that answer nothing are looked after, so that one that was ended from outside is cleared away.
    private static let rounds = Duration.seconds(1)

    private struct State {
        var idle: [QueryProcess]
        var waiting = WaitLine<Void, Result<QueryProcess, ExecutionError>>()
        var peak = 0
        var isStopped = false
    }

    private let processes: [QueryProcess]
    private let state: Mutex<State>

    /// A pool of `processes`, which start with the first query unless `start` is called.
    init(_ processes: [QueryProcess]) {
        self.processes = processes
        state = Mutex(State(idle: processes))
    }

    /// Starts the processes and looks after them until `stop`.
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

    /// A process that nobody else uses, as soon as there is one.
    private func take() async throws(ExecutionError) -> QueryProcess {
        let turn = await state.wait(in: \.waiting, as: ()) { state in
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

/// One query on its way through a process.
final class QueryCall: Sendable {
    /// What the process is sent.
    let frame: [UInt8]
    /// What the answer may be.
    let limits: QueryLimits
    private let gone = Mutex(false)

    init(_ question: QueryQuestion) throws(ExecutionError) {
        guard let frame = question.frame else { throw .invalidQuery("the query is too large") }
        self.frame = frame
        limits = question.limits
    }

    /// Whether the client is gone.
    var isGone: Bool { gone.withLock { $0 } }

    /// The client is gone.
    func abandon() { gone.withLock { $0 = true } }
}
