import Arguments
import CShims
import Glibc
import Log
import Node
import Reactor
import Synchronization

/// SIGINT, SIGTERM and SIGHUP as something to wait for; from its making on they no longer end the process, unless one comes
/// again half a second later or more. One a process.
final class StopSignal: Sendable {
    private struct State {
        var isRaised = false
        var waiting: [CheckedContinuation<Void, Never>] = []
        /// What a signal cancels.
        var starting: Task<Void, Never>?
    }

    private let state = Mutex(State())

    init() throws {
        let descriptor = apus_catch_stop_signals()
        guard descriptor >= 0 else {
            throw CommandFailure("signals cannot be caught: \(String(cString: strerror(errno)))")
        }
        try LoopThread.start("signals") { [weak self] in
            // An eventfd's content is one number of 64 bits.
            var count: UInt64 = 0
            while read(descriptor, &count, 8) < 0, errno == EINTR {}
            self?.raise()
        }
    }

    /// The name of the signal that came; nil without one.
    var name: String? {
        switch apus_stop_signal() {
        case 0: nil
        case SIGHUP: "SIGHUP"
        case SIGINT: "SIGINT"
        case SIGTERM: "SIGTERM"
        case let number: "signal \(number)"
        }
    }

    /// Takes the end of standard input for a signal too. Throws when it is nothing that ends with another process:
    /// /dev/null, a file, or closed.
    func watchInput() throws {
        var status = stat()
        let kind = fstat(STDIN_FILENO, &status) == 0 ? status.st_mode & S_IFMT : 0
        guard kind == S_IFIFO || kind == S_IFSOCK || isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure(
                "--exit-with-parent: standard input is neither a pipe, a socket nor a terminal, so its end would not be the parent's: "
                    + "start the node with a pipe that the parent holds open")
        }
        try LoopThread.start("input") { [weak self] in
            Self.skipInput()
            self?.raise()
        }
    }

    /// Returns when standard input has ended, or cannot be read.
    private static func skipInput() {
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(STDIN_FILENO, &bytes, bytes.count)
            if count < 0, errno == EAGAIN {
                var waiting = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
                poll(&waiting, 1, -1)
            } else if count == 0 || count < 0 && errno != EINTR {
                return
            }
        }
    }

    /// What a signal does.
    func raise() {
        let (waiting, starting) = state.withLock { state in
            state.isRaised = true
            defer { state.waiting = [] }
            return (state.waiting, state.starting)
        }
        starting?.cancel()
        for continuation in waiting { continuation.resume() }
    }

    /// Returns when a signal has come, or the task is cancelled.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state in
                    if state.isRaised || Task.isCancelled { return true }
                    state.waiting.append(continuation)
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                defer { state.waiting = [] }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    /// Runs `body` on the reactor, in a task that is cancelled when a signal comes. No thread pool has a part in it: the
    /// pool's own watch ends a process that has no /proc.
    func run<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        let outcome = Mutex<Result<T, any Error>>(.failure(CancellationError()))
        let task = Reactor.spawn {
            let result: Result<T, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            outcome.withLock { $0 = result }
        }
        let isRaised = state.withLock { state in
            state.starting = task
            return state.isRaised
        }
        if isRaised { task.cancel() }
        await task.value
        state.withLock { $0.starting = nil }
        return try outcome.withLock { $0 }.get()
    }

    /// Runs the node until a signal comes or it cannot go on by itself; then it is stopped. Returns why it ended by
    /// itself.
    func run(_ node: Node, _ log: Log) async -> NodeError? {
        await withTaskGroup(of: NodeError?.self) { group in
            group.addTask { await node.failure() }
            group.addTask {
                await self.wait()
                // Nothing is read again on SIGHUP: whoever starts the node again makes it read everything.
                log.info("stopping", ["reason": .text(self.name ?? "standard input has ended")])
                await node.stop()
                return nil
            }
            let failure = await group.next() ?? nil
            group.cancelAll()
            return failure
        }
    }
}
