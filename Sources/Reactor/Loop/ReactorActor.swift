/// The actor that owns every socket, connection, stream and handler. Its executor is the calling thread's event loop,
/// or the process's default loop if the thread has none.
///
/// A process has one default loop. The HTTP server, tests and simulations run further loops, each on its own thread.
/// State belongs to one loop and must not be passed to another.
@globalActor
public actor ReactorActor {
    /// The shared instance.
    public static let shared = ReactorActor()

    /// The loop as an executor.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        (EventLoop.current ?? DefaultLoop.loop).asUnownedSerialExecutor()
    }

    /// Runs `body` isolated to the actor, without a hop. For callbacks without isolation of their own that run on a
    /// loop's thread. Traps on any other thread, as `assumeIsolated` does for every actor.
    public static func assumeIsolated<T>(_ body: @ReactorActor () throws -> T) rethrows -> T {
        precondition(EventLoop.current != nil, "not on a reactor thread")
        return try withoutActuallyEscaping(body) { try unsafeBitCast($0, to: (() throws -> T).self)() }
    }
}
