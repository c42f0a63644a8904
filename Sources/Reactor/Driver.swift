import CShims
import Glibc

/// What a loop waits in and moves bytes through: the kernel, by io_uring or epoll; simulations bring a driver of their
/// own. A class with subclasses rather than a protocol, so that calls stay cheap; this base has a clock and refuses
/// everything else. All of it runs on the loop's thread, except `wake`.
///
/// A driver never calls a delegate from within a call that the delegate's owner makes: it reports to the connection
/// (`didReceive`, `didSend`, `didFail`, ...) from `wait`, or from `flush` and `updateReceiving`, which only
/// `TCPConnection.attend` calls.
@ReactorActor
open class Driver {
    /// Its name for people: `io_uring`, or `epoll (io_uring refused: ...)`.
    public nonisolated let name: String
    private nonisolated let epoch = EventLoop.monotonic

    /// A driver called `name`.
    public init(name: String) { self.name = name }

    /// Time since the loop began.
    open var now: Duration { EventLoop.monotonic - epoch }

    /// Waits for events at most until `deadline` (nil: without end; one in the past: only looks) and reports them.
    /// False when nothing can ever happen any more.
    open func wait(until deadline: Duration?) -> Bool { false }
    /// Makes the present or the next `wait` return at once. From any thread.
    open nonisolated func wake() {}
    /// Closes everything; the loop has ended.
    open func shutdown() {}

    /// What runs the jobs of a worker that is first asked for one on this loop: a thread called `name`.
    open nonisolated func makeRunner(named name: String) -> any WorkerRunner { WorkerThread(name) }

    /// Binds `listener` and begins to report connections to it.
    open func listen(_ listener: TCPListener, on address: SocketAddress) throws(ReactorError) -> SocketAddress
    {
        throw .closed
    }
    /// Begins to report connections of a bound socket, which is the listener's from here on and closed on failure.
    func listen(_ listener: TCPListener, descriptor: Int32) throws(ReactorError) {
        Glibc.close(descriptor)
        throw .closed
    }
    /// Accepts again after a failure to accept.
    func resumeAccepting(_ listener: TCPListener) {}
    /// Stops accepting and closes the listener's socket.
    open func close(_ listener: TCPListener) {}

    /// Begins to connect; the outcome goes to `attempt.finish`.
    open func connect(_ attempt: ConnectAttempt) throws(ReactorError) { throw .closed }
    /// Gives an attempt up, without a report.
    func cancel(_ attempt: ConnectAttempt) {}

    /// Takes in a connection whose `socket.descriptor` is set.
    func attach(_ connection: TCPConnection) {}
    /// Starts or stops receiving, as `connection.wantsBytes` says.
    open func updateReceiving(_ connection: TCPConnection) {}
    /// Sends what is queued, as far as it goes now; the rest without being asked again.
    open func flush(_ connection: TCPConnection) {}
    /// Bytes that have left the queue and not been acknowledged by the peer's kernel.
    open func unacknowledgedBytes(_ connection: TCPConnection) -> Int {
        max(0, Int(apus_unacknowledged_bytes(connection.socket.descriptor)))
    }
    /// Bytes that the peer's kernel has acknowledged since the beginning.
    open func acknowledgedBytes(_ connection: TCPConnection) -> Int {
        max(0, Int(apus_acknowledged_bytes(connection.socket.descriptor)))
    }
    /// Sends FIN; the queue is empty.
    open func shutdownWrite(_ connection: TCPConnection) {}
    /// Closes the socket, with RST if `reset`, and lets go of the connection.
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

/// What the kernel drivers do alike.
extension Driver {
    /// Takes in a connection that `listener`'s socket has accepted, unless that is about to be closed.
    func accepted(_ descriptor: Int32, _ listener: TCPListener) {
        Socket.setNoDelay(descriptor)
        guard !listener.socket.isClosing, let connection = adopt(descriptor, listener.loop) else {
            Glibc.close(descriptor)
            return
        }
        listener.didAccept(connection)
    }

    /// Reports what became of a connect: `code` is its `errno`, or 0. The driver holds nothing of the attempt any more.
    func connected(_ attempt: ConnectAttempt, code: Int32) {
        let descriptor = attempt.socket.descriptor
        guard code == 0, !attempt.socket.isClosing, let connection = adopt(descriptor, attempt.loop) else {
            Glibc.close(descriptor)
            return attempt.finish(.failure(ReactorError("connect", code == 0 ? ECONNRESET : code)))
        }
        attempt.finish(.success(connection))
    }

    /// Attaches a connected socket; nil when its peer has gone by now and has no address any more.
    private func adopt(_ descriptor: Int32, _ loop: EventLoop) -> TCPConnection? {
        guard let local = try? Socket.localAddress(descriptor),
            let remote = try? Socket.remoteAddress(descriptor)
        else { return nil }
        let connection = TCPConnection(loop: loop, driver: self, local: local, remote: remote)
        connection.socket.descriptor = descriptor
        attach(connection)
        return connection
    }
}

/// What a driver keeps with a socket.
package struct SocketState {
    var descriptor: Int32 = -1
    /// Its place in the driver's table.
    package var slot = -1
    var isReceiving = false
    var isWritable = false
    /// The peer's end has been seen, so that reading goes on to the end of the stream.
    var isHungUp = false
    /// The driver will look again by itself in the next turn.
    var isReady = false
    var isSending = false
    var isCancelling = false
    var isClosing = false
}

extension EventLoop {
    /// The kernel's monotonic clock.
    static var monotonic: Duration {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}

extension Duration {
    /// Whole nanoseconds, held to what fits.
    package var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carry ? (seconds < 0 ? .min : .max) : sum
    }
}
