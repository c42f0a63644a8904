/// Connections in memory, with a virtual clock: for tests of the layers above, and the ground of the simulator. They
/// are `TCPConnection`s like any other, and nothing in them depends on the machine's time or threads.
public enum MemoryNetwork {
    /// Runs `body` on a virtual loop on the calling thread until it ends. There, `TCPListener.listen` and
    /// `TCPConnection.connect` meet in memory, `Reactor.now` begins at zero and jumps to the next timer whenever nothing
    /// else is left to do, workers run their jobs in place, and `Reactor.random` repeats for one `seed`. Each byte, and
    /// each step of a connection's beginning, takes `latency` to the other side.
    ///
    /// Throws what `body` throws, `ReactorError.stalled` when it waits for something that can never come, and
    /// `ReactorError.endless` when it keeps time from passing.
    public static func run<T: Sendable>(
        seed: UInt64 = 0, latency: Duration = .zero,
        _ body: @escaping @ReactorActor @Sendable () async throws -> T
    ) throws -> T {
        try EventLoop.runVirtual(seed: seed, driver: { VirtualDriver(latency: latency, seed: seed) }, body)
    }

    /// Two ends of one connection, on whatever loop runs.
    @ReactorActor
    public static func pair() -> (TCPConnection, TCPConnection) {
        let loop = Reactor.loop
        return loop.memory.pair(loop)
    }
}
