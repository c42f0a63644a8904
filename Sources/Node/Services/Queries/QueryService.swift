import Chain
import Execution
import Log
import Reactor
import Synchronization

/// Answers clients' queries from committed state. Callable from any thread without blocking it.
protocol QueryService: Sendable {
    /// Returns the result of a query; throws `queryLimit` if it takes more than its length allows. Cancelling the task,
    /// because the client is gone, ends the query, or drops it if it has not begun.
    func answer(
        _ sql: String, _ parameters: [RawStatement.Parameter], _ length: QueryLength
    ) async throws(ExecutionError) -> QueryResult
    /// The maximum number of queries that have waited at once so far, and the limit.
    var peakWaiting: (count: Int, limit: Int) { get }
    /// Stops all processes and threads, and ends running queries.
    func stop() async
    /// Stops everything as a crash would.
    func abandon()
}

/// Where a node's queries run.
public enum QueryPlacement: Sendable {
    /// On a thread of the node: for simulations, tests, and applications without a database.
    case inProcess
    /// In separate processes.
    case processes(QueryProgram)
}

/// Answers queries one after another on a thread of the node, so that none is worth trying as a short one. Only the check of
/// its time limit ends a query.
final class InProcessQueries: QueryService {
    private let application: any Application
    private let worker: Worker

    init(_ application: any Application, _ worker: Worker) {
        self.application = application
        self.worker = worker
    }

    func answer(
        _ sql: String, _ parameters: [RawStatement.Parameter], _ length: QueryLength
    ) async throws(ExecutionError) -> QueryResult {
        guard length == .long else { throw .queryLimit("queries inside the node are all long") }
        let application = application
        do {
            return try await worker.runForClient {
                try application.query(sql, parameters, limits: length.limits)
            }
        } catch {
            throw error as? ExecutionError ?? .queryProcess("\(error)")
        }
    }

    var peakWaiting: (count: Int, limit: Int) { (worker.peakDepth, worker.capacity) }

    func stop() async { worker.stop() }

    func abandon() { worker.abandon() }
}

extension Worker {
    /// Runs `job`, unless the client is gone by then.
    func runForClient<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T {
        let isGone = Mutex(false)
        return try await withTaskCancellationHandler {
            try await run {
                if isGone.withLock({ $0 }) { throw ReactorError.cancelled }
                return try job()
            }
        } onCancel: {
            isGone.withLock { $0 = true }
        }
    }
}
