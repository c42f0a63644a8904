import Bytes
import CShims
import Chain
import Execution
import Glibc
import Metrics
import Reactor
import Synchronization
import TestSupport
import Testing

@testable import Node

/// Query processes, played by shell scripts that send what a process would, or something else.
@Suite(.timeLimit(.minutes(2))) struct QueryProcessTests {
    /// Starts a script with the socket as its descriptor 3, and counts the starts.
    private final class Scripts: Sendable {
        let starts = Mutex(0)
        let pids = Mutex<[pid_t]>([])
        let script: String

        init(_ script: String) { self.script = script }

        func start() -> Result<(pid: pid_t, socket: Int32), QueryProcess.Refusal> {
            starts.withLock { $0 += 1 }
            let shell = open("/bin/sh", O_RDONLY | O_CLOEXEC)
            defer { close(shell) }
            let words = ["sh", "-c", script].map { (word: String) in strdup(word) }
            defer { for word in words { free(word) } }
            var pid: pid_t = 0
            var socket: Int32 = -1
            let error = apus_spawn_worker(shell, words + [nil], &socket, &pid)
            guard error == 0 else { return .failure(QueryProcess.Refusal(code: error)) }
            pids.withLock { $0.append(pid) }
            return .success((pid, socket))
        }
    }

    private static let ready = #"printf '\5\0\0\0\2\0\0\0\0' >&3; "#
    /// One column `a`, an integer, and no row.
    private static let empty = #"printf '\3\0\0\0\3\1\0\7\0\0\0\4\1\1\0\0\0a\2\0\0\0\5\1' >&3; "#
    private static let result = QueryResult(columnNames: ["a"], columnTypes: [DataType(.int8)], rows: [])
    private static let question = QueryQuestion("SELECT 1", [], QueryLimits(time: .milliseconds(100)))
    private static let read = "head -c \(question.frame?.count ?? 0) <&3 >/dev/null; "
    private static let wait = "exec sleep 1000"

    private static func process(_ scripts: Scripts) -> QueryProcess {
        QueryProcess(Worker(name: "queries", capacity: 8), .silent, database: "database") { scripts.start() }
    }

    /// Runs `body` with a process, and checks that no child is left.
    private func with(
        _ script: String, _ body: @escaping @Sendable (QueryProcess, Scripts) async throws -> Void
    ) async throws {
        let scripts = Scripts(script)
        let process = Self.process(scripts)
        try await body(process, scripts)
        process.end()
        await process.finish()
        for pid in scripts.pids.withLock({ $0 }) { #expect(kill(pid, 0) != 0, "process \(pid) is left") }
    }

    private func ask(_ process: QueryProcess) async -> Result<QueryResult, ExecutionError> {
        do throws(ExecutionError) {
            return await process.answer(try QueryCall(Self.question))
        } catch {
            return .failure(error)
        }
    }

    @Test func oneProcessAnswersMany() async throws {
        try await with(Self.ready + Self.read + Self.empty + Self.read + Self.empty + Self.wait) {
            process, scripts in
            for _ in 0..<2 { #expect(await ask(process) == .success(Self.result)) }
            #expect(scripts.starts.withLock { $0 } == 1)
        }
    }

    @Test func aLateOneIsKilledAndReplaced() async throws {
        try await with(Self.ready + Self.read + Self.empty + Self.wait) { process, scripts in
            #expect(await ask(process) == .success(Self.result))
            let late = await ask(process)
            #expect(
                late == .failure(.queryLimit("the query ran for longer than \(Self.question.limits.time)")))
            #expect(await ask(process) == .success(Self.result))
            #expect(scripts.starts.withLock { $0 } == 2)
        }
    }

    /// The time that a process may take to become ready is not the query's.
    @Test func aLateOneInANewProcessIsKilledToo() async throws {
        try await with(Self.ready + Self.read + "sleep 4; " + Self.empty + Self.wait) { process, _ in
            let late = await ask(process)
            #expect(
                late == .failure(.queryLimit("the query ran for longer than \(Self.question.limits.time)")))
        }
    }

    /// One that computes is killed long before the time of its query is over.
    @Test func oneThatUsesItsProcessorTimeIsKilled() async throws {
        try await with(Self.ready + "while :; do :; done") { process, _ in
            let limits = QueryLimits(time: .seconds(1_000), processorTime: .milliseconds(5))
            let call = try QueryCall(QueryQuestion("SELECT 1", [], limits))
            #expect(await process.answer(call) == .failure(limits.late))
        }
    }

    @Test func oneThatEndsCostsOneQuery() async throws {
        try await with(Self.ready + Self.read + Self.empty + Self.read + "kill -9 $$") { process, _ in
            #expect(await ask(process) == .success(Self.result))
            #expect(await ask(process) == .failure(.queryProcess("the query's process ended: signal 9")))
            #expect(await ask(process) == .success(Self.result))
        }
    }

    /// Processes that end at once are not restarted for each query.
    @Test func oneThatDoesNotStartIsNotTriedForEachQuery() async throws {
        try await with("exit 3") { process, scripts in
            #expect(await ask(process) == .failure(.queryProcess("the query's process ended: status 3")))
            for _ in 0..<50 {
                guard case .failure(.queryProcess) = await ask(process) else {
                    Issue.record("an answer without a process")
                    return
                }
            }
            #expect(scripts.starts.withLock { $0 } < 10)
        }
    }

    @Test func oneThatSaysWhyItCannotStartIsHeard() async throws {
        try await with(#"printf '\7\0\0\0\6\2\1\0\0\0x' >&3"#) { process, _ in
            #expect(await ask(process) == .failure(.corrupt(file: "database", reason: "x")))
        }
    }

    @Test func nonsenseEndsIt() async throws {
        try await with(Self.ready + Self.read + #"printf '\377\377\377\377' >&3; "# + Self.wait) {
            process, scripts in
            guard case .failure(.queryProcess(let reason)) = await ask(process) else {
                Issue.record("an answer from invalid data")
                return
            }
            #expect(reason.utf8.starts(with: "the query process sent invalid data".utf8))
            #expect(scripts.starts.withLock { $0 } == 2)
        }
    }

    @Test func aClientThatGoesEndsItsQuery() async throws {
        try await with(Self.wait) { process, _ in
            let call = try QueryCall(QueryQuestion("SELECT 1", [], QueryLimits(time: .seconds(1_000))))
            let asking = Task { await process.answer(call) }
            asking.cancel()
            #expect(await asking.value == .failure(.queryProcess("the client is gone")))
        }
    }

    @Test func oneThatEndsWhileIdleIsClearedAway() async throws {
        try await with(Self.ready + Self.read + Self.empty + Self.wait) { process, scripts in
            #expect(await ask(process) == .success(Self.result))
            let pid = try #require(scripts.pids.withLock { $0.last })
            kill(pid, SIGKILL)
            while kill(pid, 0) == 0 {
                process.clear()
                usleep(1_000)
            }
            #expect(await ask(process) == .success(Self.result))
        }
    }

    // MARK: The pool

    /// A pool of processes that answer nothing.
    private func with(
        processes count: Int,
        _ body: (QueryPool, Scripts, MetricTable<QueryLength, Counter>) async throws -> Void
    ) async throws {
        let scripts = Scripts(Self.wait)
        let runs: MetricTable<QueryLength, Counter> = MetricsRegistry().counters(
            "runs", "Runs.", by: "length")
        let pool = QueryPool((0..<count).map { _ in Self.process(scripts) }, runs)
        try await body(pool, scripts, runs)
        await pool.stop()
        for pid in scripts.pids.withLock({ $0 }) { #expect(kill(pid, 0) != 0, "process \(pid) is left") }
    }

    private func ask(_ pool: QueryPool, _ length: QueryLength) -> Task<ExecutionError?, Never> {
        Task {
            do throws(ExecutionError) {
                _ = try await pool.answer("SELECT 1", [], length)
                return nil
            } catch {
                return error
            }
        }
    }

    @Test func aFullPoolRefuses() async throws {
        try await with(processes: 2) { pool, _, _ in
            let asking = (0...QueryPool.capacity).map { _ in ask(pool, .long) }
            while pool.peakWaiting.count < QueryPool.capacity { await Task.yield() }
            #expect(await ask(pool, .long).value == .tooManyQueries)
            // A client that leaves makes room.
            asking[0].cancel()
            asking[QueryPool.capacity].cancel()
            _ = await asking[QueryPool.capacity].value
            await pool.stop()
            for task in asking { #expect(await task.value != nil) }
            #expect(await ask(pool, .long).value == .closed)
        }
    }

    @Test func oneProcessIsForShortQueries() async throws {
        try await with(processes: 3) { pool, scripts, runs in
            let long = (0..<4).map { _ in ask(pool, .long) }
            while pool.peakWaiting.count < 2 { await Task.yield() }
            let short = ask(pool, .short)
            while scripts.starts.withLock({ $0 }) < 3 { await Task.yield() }
            #expect(runs[.long].value == 2)
            #expect(runs[.short].value == 1)
            await pool.stop()
            for task in long + [short] { #expect(await task.value == .closed) }
        }
    }

    /// No more processes start than queries run at once.
    @Test func processesStartWhenTheyAreNeeded() async throws {
        try await with(processes: 3) { pool, scripts, _ in
            let first = ask(pool, .long)
            while scripts.starts.withLock({ $0 }) < 1 { await Task.yield() }
            first.cancel()
            _ = await first.value
            // The killed process has a successor, which serves the next query.
            while scripts.starts.withLock({ $0 }) < 2 { await Task.yield() }
            let second = ask(pool, .short)
            second.cancel()
            _ = await second.value
            #expect(Set(scripts.pids.withLock { $0 }.filter { kill($0, 0) == 0 }).count <= 1)
        }
    }

    @Test func aWaitingQueryWhoseClientGoesNeverRuns() async throws {
        try await with(processes: 2) { pool, _, runs in
            let first = ask(pool, .long)
            while runs[.long].value < 1 { await Task.yield() }
            let second = ask(pool, .long)
            while pool.peakWaiting.count < 1 { await Task.yield() }
            second.cancel()
            #expect(await second.value == .queryProcess("the client is gone"))
            let third = ask(pool, .long)
            first.cancel()
            while runs[.long].value < 2 { await Task.yield() }
            third.cancel()
            for task in [first, third] { #expect(await task.value == .queryProcess("the client is gone")) }
            #expect(runs[.long].value == 2)
        }
    }
}
