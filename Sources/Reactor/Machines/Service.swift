/// A part of the program that starts and stops (docs/architecture.md, "Services").
@ReactorActor
public protocol Service: AnyObject {
    /// Serves until the task is cancelled, and returns when everything that it began has ended.
    ///
    /// The service is ready at its first suspension. Throws an error with which the program cannot continue.
    func run() async throws
}

/// Runs services: starts them in order, and stops them in the reverse order.
@ReactorActor
public final class ServiceGroup {
    /// The errors that services have thrown while they served.
    public let failures = EventChannel<any Error>()

    private var tasks: [Task<Void, Never>] = []

    /// An empty group.
    public init() {}

    /// Starts services one after the other, and returns when all are ready. Throws the error of the first that cannot begin;
    /// `stop` then ends the others.
    public func start(_ services: [any Service]) async throws {
        let starts = services.map { _ in Start() }
        for (service, start) in zip(services, starts) { tasks.append(run(service, start)) }
        // Tasks of one loop begin in the order in which they were made: this one ends after the services' beginnings.
        await Reactor.spawn {}.value
        for start in starts { start.isReady = true }
        if let failure = starts.lazy.compactMap(\.failure).first { throw failure }
    }

    private func run(_ service: any Service, _ start: Start) -> Task<Void, Never> {
        Reactor.spawn { [failures] in
            do {
                try await service.run()
            } catch {
                if start.isReady { failures.send(error) } else { start.failure = error }
            }
        }
    }

    /// The state of a starting service.
    @ReactorActor
    private final class Start {
        var isReady = false
        var failure: (any Error)?
    }

    /// Stops the services one after the other, the last started first. Returns when all have ended.
    public func stop() async {
        while let task = tasks.popLast() {
            task.cancel()
            await task.value
        }
        failures.finish()
    }

    /// Cancels all services at once and does not wait for them, as a crash would.
    public func abandon() {
        for task in tasks.reversed() { task.cancel() }
        tasks = []
        failures.finish()
    }
}

/// Where a running service waits for its end.
@ReactorActor
public final class ServiceEnd {
    private enum State {
        case open
        case waited(CheckedContinuation<Void, any Error>)
        case ended
        case failed(any Error)
    }

    private var state = State.open

    /// Creates a wait that has not ended.
    public nonisolated init() {}

    /// Suspends until the task is cancelled. Throws the error that `fail` was called with, if that comes first.
    public func wait() async throws {
        let loop = Reactor.loop
        try await withTaskCancellationHandler {
            switch state {
            case .failed(let error): throw error
            case .open where !Task.isCancelled:
                try await withCheckedThrowingContinuation { state = .waited($0) }
            case .open, .waited, .ended: break
            }
        } onCancel: {
            loop.call { self.end() }
        }
    }

    /// Ends the wait with an error.
    public func fail(_ error: any Error) {
        if case .ended = state { return }
        let waited = state
        state = .failed(error)
        if case .waited(let waiter) = waited { waiter.resume(throwing: error) }
    }

    private func end() {
        guard case .waited(let waiter) = state else { return }
        state = .ended
        waiter.resume()
    }
}
