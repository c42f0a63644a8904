import Arguments
import Bytes
import CShims
import Glibc
import Reactor
import Synchronization

/// SIGINT, SIGTERM and SIGHUP as an event to wait for; for a node, SIGHUP requests to reload instead. Once this exists, a
/// signal no longer ends the process, unless it is another SIGINT or SIGTERM half a second or more after the first. A
/// process can have only one.
final class StopSignal: Sendable {
    private struct State {
        var isRaised = false
        var waiting = WaitLine<Void, Void>()
        /// The task that a signal cancels.
        var starting: Task<Void, Never>?
        /// Whether SIGHUP has come before `reload` was known.
        var mustReload = false
        var reload: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// - Parameter hangUpReloads: whether SIGHUP calls the function passed to `onReload` instead of requesting a stop.
    init(hangUpReloads: Bool = false) throws {
        let descriptor = apus_catch_stop_signals(hangUpReloads)
        guard descriptor >= 0 else {
            throw CommandFailure("cannot catch signals: \(SystemErrorText.of(errno))")
        }
        try LoopThread.start("signals") { [weak self] in
            // An eventfd holds one 64-bit number.
            var count: UInt64 = 0
            repeat {
                while read(descriptor, &count, 8) < 0, errno == EINTR {}
                if apus_stop_signal() == 0 { self?.requestReload() }
            } while apus_stop_signal() == 0
            self?.raise()
        }
    }

    /// The name of the received signal; nil if there is none.
    var name: String? {
        switch apus_stop_signal() {
        case 0: nil
        case SIGHUP: "SIGHUP"
        case SIGINT: "SIGINT"
        case SIGTERM: "SIGTERM"
        case let number: "signal \(number)"
        }
    }

    /// Treats the end of standard input as a signal. Throws if standard input does not end with another process: if it
    /// is closed, a file or /dev/null.
    func watchInput() throws {
        var status = stat()
        let kind = fstat(STDIN_FILENO, &status) == 0 ? status.st_mode & S_IFMT : 0
        guard kind == S_IFIFO || kind == S_IFSOCK || isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure(
                "--exit-with-parent: standard input must be a pipe, a socket or a terminal, which end with the parent: "
                    + "start the node with a pipe that the parent holds open")
        }
        try LoopThread.start("input") { [weak self] in
            Self.skipInput()
            self?.raise()
        }
    }

    /// Reads standard input until it ends or fails.
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

    /// Does what a signal does.
    func raise() {
        let (waiting, starting) = state.withLock { state in
            state.isRaised = true
            return (state.waiting.removeAll(), state.starting)
        }
        starting?.cancel()
        for waiter in waiting { waiter.resume(returning: ()) }
    }

    /// Has `body` called for each SIGHUP from now on, and at once if one has already come. It must return soon.
    func onReload(_ body: @escaping @Sendable () -> Void) {
        let mustReload = state.withLock { state in
            state.reload = body
            return state.mustReload
        }
        if mustReload { body() }
    }

    private func requestReload() {
        let reload = state.withLock { state in
            if state.reload == nil { state.mustReload = true }
            return state.reload
        }
        reload?()
    }

    /// Waits for a signal or the task's cancellation.
    func wait() async {
        _ = await state.wait(in: { $1(&$0.waiting) }, as: ()) { $0.isRaised ? .some(()) : nil }
    }

    /// Runs `body` on the reactor, in a task that a signal cancels.
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

    /// Returns the result of `body`, or nil if a signal comes first and cancels it.
    func unlessRaised<T: Sendable>(_ body: @escaping @Sendable () async -> T) async -> T? {
        await withTaskGroup(of: T?.self) { group in
            group.addTask { await body() }
            group.addTask {
                await self.wait()
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }
}
