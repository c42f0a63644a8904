import Reactor

/// Connections in memory with a virtual clock, for tests of the layers above and for the simulator. They are
/// `TCPConnection`s like any other, and independent of the machine's time and threads.
public enum MemoryNetwork {
    /// The maximum number of events that a loop runs at one moment; more are taken for an endless loop.
    private static let eventsPerMoment: UInt64 = 10_000_000

    /// Runs `body` on a virtual loop on the calling thread until it ends. On this loop, `TCPListener.listen` and
    /// `TCPConnection.connect` meet in memory, `Reactor.now` begins at zero and jumps to the next timer when nothing
    /// else is left to do, workers run their jobs in place, and `Reactor.random` is determined by `seed`. Each byte,
    /// and each step of opening a connection, takes `latency` to reach the other end. Tasks that `body` leaves behind
    /// never resume.
    ///
    /// Throws the error of `body`, `VirtualLoopError.stalled` when it waits for an event that can never come, and
    /// `VirtualLoopError.endless` when it prevents time from passing.
    public static func run<T: Sendable>(
        seed: UInt64 = 0, latency: Duration = .zero,
        _ body: @escaping @ReactorActor @Sendable () async throws -> T
    ) throws -> T {
        try run(seed: seed, latency: latency, eventsPerMoment: eventsPerMoment, body)
    }

    static func run<T: Sendable>(
        seed: UInt64, latency: Duration, eventsPerMoment: UInt64,
        _ body: @escaping @ReactorActor @Sendable () async throws -> T
    ) throws -> T {
        try EventLoop.withLoop(of: { VirtualDriver(latency: latency, seed: seed) }, seed: seed) { loop in
            let outcome = Outcome<T>()
            _ = Reactor.spawn {
                do { outcome.result = .success(try await body()) } catch { outcome.result = .failure(error) }
            }
            var (moment, before) = (loop.driver.now, loop.eventsRun)
            while outcome.result == nil {
                if !loop.turn(), outcome.result == nil { throw VirtualLoopError.stalled }
                if loop.driver.now != moment {
                    (moment, before) = (loop.driver.now, loop.eventsRun)
                } else if loop.eventsRun &- before > eventsPerMoment {
                    throw VirtualLoopError.endless
                }
            }
            guard let result = outcome.result else { throw VirtualLoopError.stalled }
            return try result.get()
        }
    }

    @ReactorActor
    private final class Outcome<T> {
        var result: Result<T, any Error>?
    }
}

/// Why a virtual loop cannot go on.
public enum VirtualLoopError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Nothing was left to do before the work had ended.
    case stalled
    /// Events went on at one moment, so that time could not pass.
    case endless

    /// A one-line description.
    public var description: String {
        switch self {
        case .stalled: "nothing left to do before the work was done"
        case .endless: "millions of events without time passing"
        }
    }
}
