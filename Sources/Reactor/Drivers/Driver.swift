import Bytes
import CShims
import Glibc

/// The I/O backend of a loop: the kernel, by io_uring or epoll, or a simulation's network. A class rather than a
/// protocol keeps calls cheap; this base class has a clock and refuses everything else. All calls but `wake` are made
/// on the loop's thread.
///
/// A driver never calls a delegate from within a call that the delegate's owner makes: it reports to the connection
/// (`didReceive`, `didSend`, `didFail`, ...) from `wait`, or from `flush` and `updateReceiving`, which only
/// `TCPConnection.attend` calls.
@ReactorActor
open class Driver {
    /// The name for logs and people: `io_uring`, or `epoll (io_uring refused: ...)`.
    public nonisolated let name: String
    private nonisolated let epoch = Duration.now(CLOCK_MONOTONIC)

    /// A driver called `name`.
    public init(name: String) { self.name = name }

    /// When the last `wait` stopped waiting and began to report events.
    package private(set) var wokeAt = Duration.zero
    /// The same by the processor's clock (`apus_ticks`).
    private(set) var wokeTicks: UInt64 = 0

    /// Notes that `wait` has stopped waiting.
    package final func noteWaking() {
        wokeAt = now
        wokeTicks = apus_ticks()
    }

    /// Time since the loop began. Callable on any thread; in a simulation, on the loop alone.
    open nonisolated var now: Duration { .now(CLOCK_MONOTONIC) - epoch }

    /// Waits for events, at most until `deadline`, and reports them. Nil means no limit; a deadline in the past only
    /// polls. Returns false once nothing can happen any more.
    open func wait(until deadline: Duration?) -> Bool { false }
    /// Makes the current or next `wait` return at once. May be called on any thread.
    open nonisolated func wake() {}
    /// Closes everything, because the loop has ended.
    open func shutdown() {}

    /// Makes the runner of a worker that gets its first job on this loop: threads called `name`.
    open nonisolated func makeRunner(named name: String, _ kind: Worker.Kind) -> any WorkerRunner {
        WorkerThreads(name, kind)
    }

    /// Binds `listener`, begins to report connections to it, and returns the bound address.
    open func listen(_ listener: TCPListener, on address: SocketAddress) throws(ReactorError) -> SocketAddress
    {
        throw .closed
    }
    /// Begins to report connections of a listening socket, which other processes may share. The driver closes its
    /// descriptor, even if this fails.
    func listen(_ listener: TCPListener, passed descriptor: Int32) throws(ReactorError) {
        Glibc.close(descriptor)
        throw .closed
    }
    /// Resumes accepting after a failure.
    func resumeAccepting(_ listener: TCPListener) {}
    /// Stops accepting and closes the listener's socket.
    open func close(_ listener: TCPListener) {}

    /// Begins to connect; the outcome goes to `attempt.finish`.
    open func connect(_ attempt: ConnectAttempt) throws(ReactorError) { throw .closed }
    /// Abandons an attempt without a report.
    func cancel(_ attempt: ConnectAttempt) {}

    /// Takes charge of a new connection.
    func attach(_ connection: TCPConnection) {}
    /// Starts or stops receiving, to match `connection.wantsBytes`.
    open func updateReceiving(_ connection: TCPConnection) {}
    /// Sends as much of the queue as fits now, and the rest as room appears.
    open func flush(_ connection: TCPConnection) {}
    /// The number of bytes that have left the queue but that the peer's kernel has not acknowledged.
    open func unacknowledgedBytes(_ connection: TCPConnection) -> Int {
        max(0, Int(apus_unacknowledged_bytes(connection.descriptor)))
    }
    /// The number of bytes that the peer's kernel has acknowledged since the connection began.
    open func acknowledgedBytes(_ connection: TCPConnection) -> Int {
        max(0, Int(apus_acknowledged_bytes(connection.descriptor)))
    }
    /// Sends FIN; the queue is empty.
    open func shutdownWrite(_ connection: TCPConnection) {
        guard Glibc.shutdown(connection.descriptor, Int32(SHUT_WR)) != 0 else { return }
        connection.didFail(ReactorError("shutdown", errno))
    }
    /// Closes the socket, with RST if `reset`, and releases the connection.
    open func detach(_ connection: TCPConnection, reset: Bool) {}

    /// The driver of `kind`, for the calling thread.
    static func make(_ kind: Reactor.DriverKind) throws(ReactorError) -> Driver {
        switch kind {
        case .epoll: return try EpollDriver(named: "epoll")
        case .ioUring: return try IOUringDriver()
        case .auto:
            do throws(ReactorError) {
                return try IOUringDriver()
            } catch {
                let reason =
                    if case .driverUnavailable(let text) = error { text } else { "io_uring: \(error)" }
                return try EpollDriver(named: "epoll (\(reason))")
            }
        }
    }
}

/// Code that the kernel drivers share.
extension Driver {
    /// Adopts a connection accepted on `listener`'s socket, unless the listener has been closed.
    func accepted(_ descriptor: Int32, _ listener: TCPListener) {
        Socket.setPromptness(descriptor)
        guard !listener.isClosed, let connection = adopt(descriptor, listener.loop) else {
            Glibc.close(descriptor)
            return
        }
        listener.didAccept(connection)
    }

    /// Reports the outcome of a connect that the driver no longer tracks. `code` is its `errno`, or 0.
    func connected(_ attempt: ConnectAttempt, _ descriptor: Int32, code: Int32) {
        guard code == 0, !attempt.isFinished, let connection = adopt(descriptor, attempt.loop) else {
            Glibc.close(descriptor)
            return attempt.finish(.failure(ReactorError("connect", code == 0 ? ECONNRESET : code)))
        }
        attempt.finish(.success(connection))
    }

    /// Attaches a connected socket. Returns nil if the peer has already left, so that the socket has no remote address.
    private func adopt(_ descriptor: Int32, _ loop: EventLoop) -> TCPConnection? {
        guard let local = try? Socket.localAddress(descriptor),
            let remote = try? Socket.remoteAddress(descriptor)
        else { return nil }
        let connection = TCPConnection(
            loop: loop, driver: self, descriptor: descriptor, local: local, remote: remote)
        attach(connection)
        return connection
    }
}
