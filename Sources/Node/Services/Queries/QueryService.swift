import Chain
import Execution
import Log
import Reactor
import Synchronization

/// Answers clients' queries from committed state. Called from any thread; no thread that calls it waits.
protocol QueryService: Sendable {
    /// The query's result. Ends the query when the task is cancelled: its client is gone.
    func answer(_ sql: String, _ parameters: [RawStatement.Parameter]) async throws(ExecutionError)
        -> QueryResult
    /// The most queries that have waited at once, and how many may.
    var peakWaiting: (count: Int, limit: Int) { get }
    /// Ends everything, queries that run included.
    func stop() async
    /// Ends everything as a crash does.
    func abandon()
}

/// Where a node's queries run.
public enum QueryPlacement: Sendable {
    /// On a thread of the node: for simulations, tests, and applications that keep no database.
    case inProcess
    /// In processes of their own.
    case processes(QueryProgram)
}

/// Answers queries one after another on one thread of the node, which nothing but the look at the time ends.
final class InProcessQueries: QueryService {
    private let application: any Application
    private let worker: Worker

    init(_ application: any Application, _ worker: Worker) {
        self.application = application
        self.worker = worker
    }

    func answer(_ sql: String, _ parameters: [RawStatement.Parameter]) async throws(ExecutionError)
        -> QueryResult
    {
        let application = application
        do {
            return try await worker.runForClient {
                try application.query(sql, parameters, limits: QueryLimits())
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
    /// Runs `job`, unless the client that asks is gone by the time that it is its turn.
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
