import Bytes
import Execution
import Glibc
import Log
import Reactor
import Synchronization

/// A process that answers queries, and its successors: a process that exceeds its time, or whose client is gone, is
/// killed and replaced.
///
/// It answers one query at a time. Only the worker's thread waits for its answer.
final class QueryProcess: Sendable {
    /// Why the kernel did not start a process: an errno.
    struct Refusal: Error, CustomStringConvertible {
        let code: Int32

        var description: String { SystemErrorText.of(code) }
    }

    /// The maximum time for a process to become ready.
    private static let startTime = Duration.seconds(5)
    /// The backoff after two consecutive processes that ended before they were ready; doubled with each further one up
    /// to the longest. A single one may have been killed from outside.
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(10)
    /// The number of bytes read from the socket at once.
    private static let readBytes = 64 << 10

    private struct Child {
        let pid: pid_t
        let socket: Int32
        /// Whether it has reported that it is ready.
        var isReady = false
    }

    private struct State {
        var child: Child?
        /// The query that it is answering.
        var call: QueryCall?
        var isEnded = false
        /// The number of consecutive processes that ended before they were ready.
        var failures = 0
        /// No process starts before this time.
        var pauseEnd: ContinuousClock.Instant?
        var hasNoted = false
    }

    private let start: @Sendable () -> Result<(pid: pid_t, socket: Int32), Refusal>
    private let database: String
    private let worker: Worker
    private let log: Log
    private let state = Mutex(State())

    /// Creates a process of a program, which starts with the first query or `prepare`.
    convenience init(_ program: QueryProgram, _ worker: Worker, _ log: Log) {
        self.init(worker, log, database: program.database) { program.start() }
    }

    /// Creates a process that `start` starts. In tests, `start` may return any socket and child.
    init(
        _ worker: Worker, _ log: Log, database: String,
        start: @escaping @Sendable () -> Result<(pid: pid_t, socket: Int32), Refusal>
    ) {
        self.worker = worker
        self.log = log
        self.database = database
        self.start = start
    }

    // MARK: From any thread

    /// Starts the process, unless it is running.
    func prepare() async { try? await worker.run { _ = try? self.running() } }

    /// Returns the answer to a query.
    func answer(_ call: QueryCall) async -> Result<QueryResult, ExecutionError> {
        await withTaskCancellationHandler {
            do {
                return try await worker.run { self.ask(call) }
            } catch {
                return .failure(.closed)
            }
        } onCancel: {
            call.abandon()
            state.withLock { state in
                if state.call === call { Self.kill(state.child) }
            }
        }
    }

    /// Reaps a process that ended while idle.
    func clear() {
        let ending: Int32? = state.withLock { state in
            guard state.call == nil, let child = state.child else { return nil }
            var status: Int32 = 0
            guard waitpid(child.pid, &status, WNOHANG) == child.pid else { return nil }
            close(child.socket)
            state.child = nil
            if !child.isReady { Self.countFailure(&state) }
            return status
        }
        if let ending {
            log.warning("query process ended while idle", ["reason": .text(Self.text(of: ending))])
        }
    }

    /// Kills the process at once. No other one starts.
    func end() {
        state.withLock { state in
            state.isEnded = true
            Self.kill(state.child)
        }
    }

    /// Waits until the process that `end` killed is gone.
    func finish() async { try? await worker.finish { _ = self.reap() } }

    private static func kill(_ child: Child?) {
        // The ID cannot have been reused, because the child is reaped under the lock.
        if let child { Glibc.kill(child.pid, SIGKILL) }
    }

    // MARK: On the worker's thread

    private func ask(_ call: QueryCall) -> Result<QueryResult, ExecutionError> {
        clear()
        let child: Child
        do throws(ExecutionError) {
            child = try running()
        } catch {
            return .failure(error)
        }
        let isGone = state.withLock { state in
            state.call = call
            return call.isGone
        }
        defer { state.withLock { $0.call = nil } }
        if isGone { return .failure(.queryProcess(QueryCall.abandoned)) }
        var answer = QueryAnswer(call.limits, file: database, isFirst: !child.isReady)
        let outcome: Result<QueryResult, ExecutionError>
        do throws(Interruption) {
            try exchange(call, with: child, &answer)
            outcome = answer.outcome ?? .failure(.closed)
            if let note = answer.note { becameReady(note) }
            if child.isReady || answer.note != nil { return outcome }
        } catch {
            outcome = .failure(failure(error, call, wasReady: child.isReady || answer.note != nil))
        }
        // A process killed because its client is gone does not count as a failure.
        renew(wasReady: child.isReady || answer.note != nil || call.isGone, outcome)
        return outcome
    }

    /// Why a query got no answer.
    private enum Interruption: Error {
        case late, gone
        case nonsense(ExecutionError)
    }

    private func failure(_ interruption: Interruption, _ call: QueryCall, wasReady: Bool) -> ExecutionError {
        state.withLock { Self.kill($0.child) }
        let ending = reap()
        if state.withLock({ $0.isEnded }) { return .closed }
        if call.isGone { return .queryProcess(QueryCall.abandoned) }
        switch interruption {
        case .late where wasReady: return call.limits.late
        case .late: return .queryProcess("the query's process did not become ready")
        case .nonsense(let error):
            log.error("query process killed", ["query": .text(call.sql), "reason": .error(error)])
            return error
        case .gone:
            let reason = "the query's process ended: \(Self.text(of: ending))"
            log.warning("query process ended", ["query": .text(call.sql), "reason": .text(reason)])
            return .queryProcess(reason)
        }
    }

    /// Kills and reaps a process, and starts the next.
    private func renew(wasReady: Bool, _ outcome: Result<QueryResult, ExecutionError>) {
        state.withLock { Self.kill($0.child) }
        _ = reap()
        if !wasReady {
            let count = state.withLock { state in
                Self.countFailure(&state)
                return state.failures
            }
            if count == 1, case .failure(let error) = outcome {
                log.error("queries cannot be answered", ["reason": .error(error)])
            }
        }
        _ = try? running()
    }

    private static func countFailure(_ state: inout State) {
        state.failures += 1
        guard state.failures > 1 else { return }
        let pause = firstPause * (1 << min(state.failures - 2, 10))
        state.pauseEnd = .now + min(pause, longestPause)
    }

    private func becameReady(_ note: String) {
        let (failures, isNew) = state.withLock { state in
            defer {
                state.failures = 0
                state.hasNoted = state.hasNoted || !note.isEmpty
            }
            state.child?.isReady = true
            return (state.failures, !note.isEmpty && !state.hasNoted)
        }
        if failures > 0 { log.info("queries are answered again") }
        if isNew { log.warning("queries run with less protection", ["reason": .text(note)]) }
    }

    /// Returns the process, starting it if necessary.
    private func running() throws(ExecutionError) -> Child {
        let (child, refusal) = try state.withLock { (state) throws(ExecutionError) -> (Child?, Refusal?) in
            if state.isEnded { throw .closed }
            if let child = state.child { return (child, nil) }
            if let end = state.pauseEnd, .now < end { throw .queryProcess(Self.unavailable) }
            switch start() {
            case .success(let (pid, socket)):
                let child = Child(pid: pid, socket: socket)
                state.child = child
                return (child, nil)
            case .failure(let refusal):
                Self.countFailure(&state)
                return (nil, state.failures == 1 ? refusal : nil)
            }
        }
        if let refusal {
            log.error(
                "queries cannot be answered",
                ["reason": .text("the query process cannot be started: \(refusal)")])
        }
        guard let child else { throw .queryProcess(Self.unavailable) }
        return child
    }

    private static let unavailable =
        "queries cannot be answered now: no query process starts; see the node's log"

    /// Waits for the end of a process that was killed or is gone, and reaps it. Returns its status.
    private func reap() -> Int32 {
        guard let pid = state.withLock({ $0.child?.pid }) else { return 0 }
        var information = siginfo_t()
        while waitid(P_PID, id_t(bitPattern: pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        return state.withLock { state in
            guard let child = state.child else { return 0 }
            var status: Int32 = 0
            waitpid(child.pid, &status, 0)
            close(child.socket)
            state.child = nil
            return status
        }
    }

    /// Describes a status, decoded as by WIFEXITED, WEXITSTATUS and WTERMSIG.
    private static func text(of status: Int32) -> String {
        let signal = status & 0x7F
        return signal == 0 ? "status \(status >> 8 & 0xFF)" : "signal \(signal)"
    }
}

// MARK: - The socket

extension QueryProcess {
    private func exchange(
        _ call: QueryCall, with child: Child, _ answer: inout QueryAnswer
    ) throws(Interruption) {
        // The query's time begins once the process is ready.
        var isReady = child.isReady
        var patience =
            isReady ? QueryPatience(call.limits, of: child.pid) : QueryPatience(Self.startTime)
        let question = call.frame
        var sent = 0
        while sent < question.count {
            let count = question.withUnsafeBytes {
                send(
                    child.socket, $0.baseAddress.map { $0 + sent }, question.count - sent, Int32(MSG_NOSIGNAL)
                )
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                try Self.wait(POLLOUT, child.socket, patience)
            } else if errno != EINTR {
                // What the process sent before it ended may tell why.
                break
            }
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.readBytes, alignment: 8)
        defer { buffer.deallocate() }
        while answer.outcome == nil {
            try Self.wait(POLLIN, child.socket, patience)
            let count = recv(child.socket, buffer.baseAddress, buffer.count, 0)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { throw .gone }
            do throws(ExecutionError) {
                try answer.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            } catch {
                throw .nonsense(error)
            }
            if !isReady, answer.note != nil {
                isReady = true
                patience = QueryPatience(call.limits, of: child.pid)
            }
        }
    }

    private static func wait(
        _ event: Int32, _ socket: Int32, _ patience: QueryPatience
    ) throws(Interruption) {
        while true {
            guard let milliseconds = patience.milliseconds else { throw .late }
            var waiting = pollfd(fd: socket, events: Int16(event), revents: 0)
            if poll(&waiting, 1, milliseconds) > 0 { return }
        }
    }
}
