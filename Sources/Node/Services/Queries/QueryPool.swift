import Chain
import Execution
import Metrics
import Reactor
import Synchronization

/// Answers queries in separate processes, each one query at a time: whatever SQL does inside SQLite costs one query
/// (docs/execution.md, "Queries").
///
/// Long queries use all processes but one, so that a short one waits for other short ones at most.
final class QueryPool: QueryService {
    /// The maximum number of queries that wait for a process. `ReplyBudget` decides before which client is next, so that
    /// clients submit no more short queries at once than there are processes, and no more long ones than may run.
    static let capacity = 64
    /// The time between two checks for idle processes that something else has killed.
    private static let rounds = Duration.seconds(1)

    private typealias Line = WaitLine<Void, Result<QueryProcess, ExecutionError>>

    private struct State {
        /// The one used last is the next, so that no more processes start than are needed at once.
        var idle: [QueryProcess]
        /// The number of long queries that may begin now.
        var longPlaces: Int
        var short = Line()
        var long = Line()
        var peak = 0
        var isStopped = false

        var waiting: Int { short.count + long.count }

        /// Takes the place of a query that begins; returns false if there is none.
        mutating func takePlace(_ length: QueryLength) -> Bool {
            guard length == .long else { return true }
            guard longPlaces > 0 else { return false }
            longPlaces -= 1
            return true
        }

        /// Removes and returns the query that begins next. Long ones come first, because the short ones have a process that
        /// these cannot take.
        mutating func next() -> Line.Waiter? {
            if !long.isEmpty, takePlace(.long) { return long.popFirst() }
            return short.popFirst()
        }
    }

    private let processes: [QueryProcess]
    private let runs: MetricTable<QueryLength, Counter>
    private let state: Mutex<State>

    /// Creates a pool of two or more processes, which start when they are needed. `runs` counts the queries that begin.
    init(_ processes: [QueryProcess], _ runs: MetricTable<QueryLength, Counter>) {
        self.processes = processes
        self.runs = runs
        state = Mutex(State(idle: processes.reversed(), longPlaces: max(processes.count - 1, 1)))
    }

    /// Starts the first process, which shows whether queries can be answered, and checks on all until `stop`.
    @ReactorActor
    func start() {
        if let first = processes.first { Reactor.spawn { await first.prepare() } }
        look()
    }

    @ReactorActor
    private func look() {
        guard !state.withLock({ $0.isStopped }) else { return }
        for process in processes { process.clear() }
        Reactor.schedule(after: Self.rounds) { [weak self] in self?.look() }
    }

    func answer(
        _ sql: String, _ parameters: [RawStatement.Parameter], _ length: QueryLength
    ) async throws(ExecutionError) -> QueryResult {
        let call = try QueryCall(QueryQuestion(sql, parameters, length.limits))
        let process = try await take(length)
        runs[length].add()
        let outcome = await process.answer(call)
        give(back: process, length)
        return try outcome.get()
    }

    var peakWaiting: (count: Int, limit: Int) { (state.withLock { $0.peak }, Self.capacity) }

    func stop() async {
        let waiting = state.withLock { state in
            state.isStopped = true
            return state.short.removeAll() + state.long.removeAll()
        }
        for waiter in waiting { waiter.resume(returning: .failure(.closed)) }
        for process in processes { process.end() }
        for process in processes { await process.finish() }
    }

    func abandon() { for process in processes { process.end() } }

    /// Waits until a query may begin.
    private func take(_ length: QueryLength) async throws(ExecutionError) -> QueryProcess {
        let line: Line.Access<State> = { length == .long ? $1(&$0.long) : $1(&$0.short) }
        let turn = await state.wait(in: line, as: ()) { state in
            if state.isStopped { return .failure(.closed) }
            if !state.idle.isEmpty, state.takePlace(length), let process = state.idle.popLast() {
                return .success(process)
            }
            guard state.waiting < Self.capacity else { return .failure(.tooManyQueries) }
            state.peak = max(state.peak, state.waiting + 1)
            return nil
        }
        guard let turn else { throw .queryProcess(QueryCall.abandoned) }
        return try turn.get()
    }

    private func give(back process: QueryProcess, _ length: QueryLength) {
        let waiter = state.withLock { state in
            if length == .long { state.longPlaces += 1 }
            let next = state.next()
            if next == nil { state.idle.append(process) }
            return next
        }
        waiter?.resume(returning: .success(process))
    }
}

extension QueryLength: MetricLabel {}

/// A query in a process.
final class QueryCall: Sendable {
    /// Why a query without its client has no answer.
    static let abandoned = "the client is gone"

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
