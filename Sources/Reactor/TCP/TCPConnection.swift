import Bytes

/// A TCP connection. Queued bytes leave together at the end of the loop's turn; received bytes go to the delegate. The
/// loop keeps the connection alive until either side closes it.
@ReactorActor
public final class TCPConnection {
    /// The number of queued bytes beyond which `isAboveHighWater` holds and producers should wait for `drained`. A new
    /// message waits for as many to leave: 20 ms at 100 Mbit/s.
    public nonisolated static let highWater = 256 * 1024
    /// The number of queued bytes at which `drained` is called after high water.
    public nonisolated static let lowWater = 128 * 1024
    /// The most bytes that `reserve` promises: a Noise message of 65,535 bytes with its length, plus a few small ones.
    public nonisolated static let largestReservation = 70_000
    /// How long `close` tries to send the queued bytes before it resets the connection.
    public nonisolated static let flushLimit: Duration = .seconds(5)
    /// How long a closed connection waits for the peer's FIN after its own. Without the wait, the kernel would answer
    /// late bytes with a reset, which would destroy bytes in flight to the peer.
    public nonisolated static let lingerLimit: Duration = .seconds(1)

    /// The state of the whole connection.
    private enum State {
        /// Bytes flow in both directions, as `sending` and `receiving` allow.
        case open
        /// `close` was called: queued bytes still leave, received ones are dropped.
        case closing
        /// FIN has left and the end was reported; the socket waits for the peer's FIN.
        case lingering
        /// The driver has failed, or `abort` was called (nil): the next `attend` resets the connection.
        case broken(ReactorError?)
        /// The socket is gone.
        case closed
    }

    /// This side's half of the connection.
    private enum Sending {
        case open
        /// FIN follows the queued bytes.
        case finishing
        /// FIN has left.
        case finished
    }

    /// The peer's half of the connection.
    private enum Receiving {
        case open
        /// The peer's FIN has come but has not been reported.
        case ended
        /// The peer's FIN has been reported.
        case finished
    }

    /// Whether the end of the connection has been reported.
    private enum EndReport {
        /// There is nothing to report.
        case none
        /// The connection ended without a delegate; the next one gets the report.
        case due(ReactorError?)
        case made
    }

    /// This end's address.
    public let localAddress: SocketAddress
    /// The peer's address.
    public let remoteAddress: SocketAddress
    /// Receives the connection's events. Receiving starts when it is set; one set after the end gets only `closed`.
    /// Released after `closed`.
    public var delegate: TCPConnectionDelegate? { didSet { needsAttention() } }

    package let loop: EventLoop
    let driver: Driver
    /// The socket; -1 if the driver has none.
    let descriptor: Int32
    /// The connection's place in the driver's table, until it is detached.
    package var slot: Int?
    package let queue = SendQueue()

    private var state = State.open
    private var sending = Sending.open
    private var receiving = Receiving.open
    private var endReport = EndReport.none
    /// Whether the loop will call `attend`.
    private var isNoted = false
    /// Whether the owner has paused receiving.
    private var isPaused = false
    /// Whether to call `drained` when the queue falls to low water.
    private var owesDrained = false
    /// Bytes that the kernel had delivered before receiving was paused: at most the driver's receive buffers.
    private var held: [ReceivedBytes] = []
    /// The time limit of `closing` or `lingering`.
    private var limit: Timer?

    private struct ReceivedBytes: @unchecked Sendable {
        let bytes: UnsafeMutableRawBufferPointer
    }

    package init(
        loop: EventLoop, driver: Driver, descriptor: Int32 = -1, local: SocketAddress, remote: SocketAddress
    ) {
        self.loop = loop
        self.driver = driver
        self.descriptor = descriptor
        localAddress = local
        remoteAddress = remote
    }

    deinit {
        for piece in held { piece.bytes.deallocate() }
    }

    // MARK: Sending

    /// Bytes queued and not yet handed to the kernel.
    public var queuedBytes: Int { queue.count }

    /// When the peer was last seen to take queued bytes; nil while none are queued and before the first
    /// `updateSendProgress`.
    public private(set) var sendProgressAt: Duration?
    /// `acknowledgedBytes` at the last update.
    private var acknowledged = 0

    /// The number of bytes, queued here or in the kernel, that the peer's kernel has not acknowledged.
    public var unacknowledgedBytes: Int {
        queue.count + (isClosed ? 0 : driver.unacknowledgedBytes(self))
    }

    /// The number of bytes that the peer's kernel has acknowledged since the connection began.
    public var acknowledgedBytes: Int { isClosed ? acknowledged : driver.acknowledgedBytes(self) }

    /// Whether the queue is long enough that producers should wait for `drained`.
    public var isAboveHighWater: Bool { queue.count > Self.highWater }

    /// Whether bytes can still be sent; otherwise they are dropped.
    public var isWritable: Bool { isOpen && sending == .open }

    /// Returns at least `count` (up to `largestReservation`) bytes of contiguous room at the tail of the queue. Write to it
    /// and commit before you send anything else.
    public func reserve(_ count: Int) -> UnsafeMutableRawBufferPointer { queue.reserve(count, loop.chunks) }

    /// Queues the first `count` bytes of the last reservation. They leave at the end of the loop's turn.
    public func commit(_ count: Int) {
        queue.commit(isWritable ? count : 0)
        noteQueued()
    }

    /// Queues a copy of `bytes`.
    public func send(_ bytes: UnsafeRawBufferPointer) {
        guard isWritable else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            let room = queue.reserve(min(rest.count, Self.largestReservation), loop.chunks)
            let piece = rest.prefix(room.count)
            room.copyMemory(from: UnsafeRawBufferPointer(rebasing: piece))
            PathMeter.copied(piece.count)
            queue.commit(piece.count)
            rest = rest.dropFirst(piece.count)
        }
        noteQueued()
    }

    /// Updates `sendProgressAt`. Call it periodically to watch progress: most sends leave at once and are not worth
    /// reading the clock for, and the kernel reports only the end of a long one.
    public func updateSendProgress() {
        guard !queue.isEmpty else { return }
        let count = acknowledgedBytes
        if sendProgressAt == nil || count > acknowledged { sendProgressAt = driver.now }
        acknowledged = count
    }

    private func noteQueued() {
        if isAboveHighWater { owesDrained = true }
        needsAttention()
    }

    // MARK: Receiving

    /// Stops calls of `received`; once the kernel's buffers are full, the peer must wait. Nothing is lost.
    public func pauseReceiving() {
        isPaused = true
        needsAttention()
    }

    /// Resumes receiving, beginning with the held bytes.
    public func resumeReceiving() {
        isPaused = false
        needsAttention()
    }

    // MARK: Ending

    /// Sends FIN after the queued bytes. Receiving goes on; the connection ends when the peer's FIN has come too.
    public func closeWrite() {
        if sending == .open { sending = .finishing }
        needsAttention()
    }

    /// Sends the queued bytes, then FIN, and calls `closed` when that is done, after at most `flushLimit`. Bytes that
    /// arrive meanwhile are dropped.
    public func close() {
        guard isOpen else { return }
        state = .closing
        closeWrite()
    }

    /// Drops the queued bytes and resets the connection.
    public func abort() {
        switch state {
        case .open, .closing, .broken: state = .broken(nil)
        case .lingering, .closed: return
        }
        needsAttention()
    }

    // MARK: The loop's side

    private var isOpen: Bool { if case .open = state { true } else { false } }
    private var isClosed: Bool { if case .closed = state { true } else { false } }

    private func needsAttention() {
        guard !isNoted else { return }
        if isClosed {
            guard delegate != nil, case .due = endReport else { return }
        }
        isNoted = true
        loop.noteAttention(self)
    }

    /// Schedules `attend` for the next turn. For drivers.
    package func attendLater() { needsAttention() }

    /// Carries out what calls of the owner and the driver have made due. Only the loop calls it.
    func attend() {
        isNoted = false
        if case .due(let error) = endReport { reportEnd(error) }
        switch state {
        case .closed: return
        case .broken(let error): return end(reset: true, error)
        case .closing where limit == nil: setLimit(Self.flushLimit, .timedOut)
        case .open, .closing, .lingering: break
        }
        deliverHeld()
        driver.updateReceiving(self)
        if queue.isEmpty {
            queue.trim(loop.chunks)
        } else if sending != .finished {
            driver.flush(self)
        }
        advance()
    }

    /// Whether the driver should receive now.
    package var wantsBytes: Bool {
        guard receiving == .open else { return false }
        return switch state {
        case .open: delegate != nil && !isPaused && held.isEmpty
        case .closing, .lingering: true
        case .broken, .closed: false
        }
    }

    /// Takes received bytes, which lie in the driver's memory. For drivers.
    package func didReceive(_ bytes: UnsafeMutableRawBufferPointer) {
        guard isOpen else { return }
        if let delegate, !isPaused, held.isEmpty {
            delegate.received(bytes)
        } else {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
            copy.copyMemory(from: UnsafeRawBufferPointer(bytes))
            PathMeter.copied(bytes.count)
            held.append(ReceivedBytes(bytes: copy))
        }
    }

    /// Records the peer's FIN. For drivers.
    package func didReceiveEnd() {
        if receiving == .open { receiving = .ended }
        needsAttention()
    }

    /// Removes `count` bytes, which the kernel has taken, from the queue. For drivers.
    package func didSend(_ count: Int) {
        queue.consume(count, loop.chunks)
        sendProgressAt = queue.isEmpty ? nil : driver.now
        if owesDrained, queue.count <= Self.lowWater {
            owesDrained = false
            if isOpen { delegate?.drained() }
        }
        if queue.isEmpty, sending == .finishing { needsAttention() }
    }

    /// Marks the connection as broken. For drivers.
    package func didFail(_ error: ReactorError) {
        switch state {
        case .open, .closing, .lingering: state = .broken(error)
        case .broken, .closed: return
        }
        needsAttention()
    }

    /// Drops the queue, to which the kernel no longer refers. For drivers.
    package func didDetach() { queue.removeAll(loop.chunks) }

    private func deliverHeld() {
        guard !held.isEmpty else { return }
        var delivered = 0
        while isOpen, !isPaused, delivered < held.count, let delegate {
            let bytes = held[delivered].bytes
            delegate.received(bytes)
            bytes.deallocate()
            delivered &+= 1
        }
        held.removeFirst(delivered)
        if !isOpen { dropHeld() }
    }

    private func dropHeld() {
        for piece in held { piece.bytes.deallocate() }
        held = []
    }

    /// Reports the peer's FIN, sends this side's, and ends a connection that has seen both.
    private func advance() {
        if receiving == .ended, isOpen, held.isEmpty, !isPaused, let delegate {
            receiving = .finished
            delegate.peerClosedWrite()
        }
        // The state before FIN decides: a FIN that cannot be sent has no peer left to reach.
        let state = state
        if sending == .finishing, queue.isEmpty {
            if case .broken = state { return }
            sending = .finished
            driver.shutdownWrite(self)
        }
        guard sending == .finished else { return }
        switch (state, receiving) {
        case (.open, .finished), (.closing, .ended), (.closing, .finished), (.lingering, .ended),
            (.lingering, .finished):
            end(reset: false, nil)
        case (.closing, .open): linger()
        case (.open, .open), (.open, .ended), (.lingering, .open), (.broken, _), (.closed, _): break
        }
    }

    private func linger() {
        if case .closing = state { state = .lingering }
        reportEnd(nil)
        setLimit(Self.lingerLimit, nil)
    }

    /// Resets the connection after `time`, unless it has moved on by then.
    private func setLimit(_ time: Duration, _ error: ReactorError?) {
        limit?.cancel()
        limit = loop.timers.add(loop.driver.now + time) { [weak self] in self?.end(reset: true, error) }
    }

    private func end(reset: Bool, _ error: ReactorError?) {
        guard !isClosed else { return }
        becomeClosed()
        dropHeld()
        driver.detach(self, reset: reset)
        reportEnd(error)
    }

    private func becomeClosed() {
        state = .closed
        limit?.cancel()
        limit = nil
    }

    private func reportEnd(_ error: ReactorError?) {
        if case .made = endReport { return }
        guard let delegate else {
            endReport = .due(error)
            return
        }
        endReport = .made
        self.delegate = nil
        delegate.closed(error)
    }

    /// Whether the kernel has all bytes and the FIN, so that they reach the peer even when the socket is closed.
    var hasSentAll: Bool { sending == .finished && queue.isEmpty }

    /// Closes the connection without a report, because the loop has ended and its socket is gone. For drivers.
    package func abandon() {
        becomeClosed()
        delegate = nil
    }
}
