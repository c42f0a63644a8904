/// The actor that owns every socket, connection, stream and handler. Its executor is the event loop of the calling
/// thread; from any other thread it is the process's default loop, which the first use starts.
///
/// One process has one default loop. A test or a simulation may run more of them, each on its own thread, and what
/// runs on a loop stays there: state must not be handed from one loop to another.
@globalActor
public actor ReactorActor {
    /// The one instance that the annotation names.
    public static let shared = ReactorActor()

    /// The loop as an executor.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        (EventLoop.current ?? DefaultLoop.loop).asUnownedSerialExecutor()
    }

    /// Runs `body` as the actor's, without a hop, for code that knows it is on a loop's thread: callbacks that have no
    /// isolation of their own. Stops the program when it is not, as the same call of every actor does.
    public static func assumeIsolated<T>(_ body: @ReactorActor () throws -> T) rethrows -> T {
        precondition(EventLoop.current != nil, "not on a reactor thread")
        return try withoutActuallyEscaping(body) { try unsafeBitCast($0, to: (() throws -> T).self)() }
    }
}
