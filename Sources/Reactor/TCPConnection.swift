import Bytes

/// One TCP connection. Bytes to send are queued and leave together at the
/// end of the loop's turn; what comes in goes to the delegate. It stays open, and in memory, until it is closed by
/// either side, whoever else holds it.
@ReactorActor
public final class TCPConnection {
    /// Queued bytes from which `isAboveHighWater` holds, and whoever produces bytes should wait for `drained`.
    public nonisolated static let highWater = 1024 * 1024
    /// Queued bytes at which `drained` is called after high water.
    public nonisolated static let lowWater = 256 * 1024
    /// The most that `reserve` promises: a Noise message of 65,535 bytes with its length, and room for small ones.
    public nonisolated static let largestReservation = 70_000
    /// How long `close` tries to send what is queued before it resets.
    public nonisolated static let flushLimit: Duration = .seconds(5)
    /// How long after its own FIN a closed connection waits for the peer's, so that the kernel need not answer late
    /// bytes with a reset that would destroy those still on their way to the peer.
    public nonisolated static let lingerLimit: Duration = .seconds(1)
    /// Shared bytes up to this many are copied: cheaper than a vector of their own.
    private static let copyLimit = 4096

    private enum Phase {
        /// Both ways as the owner likes.
        case open
        /// `close` was called: sending the rest, dropping what comes.
        case closing
        /// FIN is sent and the owner told; the socket waits for the peer's FIN.
        case lingering
        case closed
    }

    /// This end's address.
    public let localAddress: SocketAddress
    /// The peer's address.
    public let remoteAddress: SocketAddress
    /// Who is told. Receiving starts when it is set, and one set only after the end is told of that. Let go of after
    /// `closed`.
    public var delegate: TCPConnectionDelegate? { didSet { needsAttention() } }

    package let loop: EventLoop
    let driver: Driver
    package var socket = SocketState()
    /// The send that the kernel holds (io_uring).
    var sendRequest: SendRequest?
    package let queue = SendQueue()

    private var phase = Phase.open
    private var isNoted = false
    private var isPaused = false
    private var isAborted = false
    private var wasAboveHighWater = false
    private var mustSendFIN = false
    private var hasSentFIN = false
    private var hasPeerFIN = false
    private var hasToldPeerFIN = false
    private var failure: ReactorError?
    private var hasToldClosed = false
    /// What `closed` is to say to a delegate that is set only after the end.
    private var closeError: ReactorError?
    /// What the kernel had already delivered when receiving was paused: at most the driver's receive buffers.
    private var held: [ReceivedBytes] = []
    private var limit: Timer?

    private struct ReceivedBytes: @unchecked Sendable {
        let bytes: UnsafeMutableRawBufferPointer
    }

    package init(loop: EventLoop, driver: Driver, local: SocketAddress, remote: SocketAddress) {
        self.loop = loop
        self.driver = driver
        localAddress = local
        remoteAddress = remote
    }

    deinit {
        for piece in held { piece.bytes.deallocate() }
    }

    // MARK: Sending

    /// Bytes queued and not yet in the kernel's hands.
    public var queuedBytes: Int { queue.count }

    /// When the peer was last seen to take some of the bytes that wait; nil while none wait, or nobody has looked.
    public private(set) var sendProgressAt: Duration?
    /// What the peer had acknowledged when that was looked at last.
    private var acknowledged = 0

    /// Bytes that the peer's kernel has not acknowledged: those queued here, and those in the kernel's hands.
    public var unacknowledgedBytes: Int {
        queue.count + (phase == .closed ? 0 : driver.unacknowledgedBytes(self))
    }

    /// Bytes that the peer's kernel has acknowledged since the beginning.
    public var acknowledgedBytes: Int { phase == .closed ? acknowledged : driver.acknowledgedBytes(self) }

    /// Whether the queue is long enough that producers should wait for `drained`.
    public var isAboveHighWater: Bool { queue.count > Self.highWater }

    /// Whether bytes can still be sent. What is sent otherwise is dropped.
    public var isWritable: Bool { phase == .open && !isAborted && !mustSendFIN && failure == nil }

    /// At least `count` (up to `largestReservation`) bytes of contiguous room at the tail of the queue, to be written and
    /// then committed, before anything else is sent.
    public func reserve(_ count: Int) -> UnsafeMutableRawBufferPointer { queue.reserve(count, loop.chunks) }

    /// Queues the first `count` bytes of what the last `reserve` gave. They leave at the end of the loop's turn.
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
            queue.commit(piece.count)
            rest = rest.dropFirst(piece.count)
        }
        noteQueued()
    }

    /// Queues `bytes` by reference; they are held until the kernel has them.
    public func send(_ bytes: SharedBytes) {
        guard isWritable else { return }
        if bytes.count <= Self.copyLimit {
            bytes.withUnsafeBytes { send($0) }
        } else {
            queue.append(bytes, loop.chunks)
            noteQueued()
        }
    }

    /// Looks whether the peer takes what waits for it. To be called now and then by whoever watches `sendProgressAt`: the
    /// usual send, which leaves at once, is not worth a look at the clock, and of a long one the kernel reports only the
    /// end.
    public func updateSendProgress() {
        guard !queue.isEmpty else { return }
        let count = acknowledgedBytes
        if sendProgressAt == nil || count > acknowledged { sendProgressAt = driver.now }
        acknowledged = count
    }

    private func noteQueued() {
        if isAboveHighWater { wasAboveHighWater = true }
        needsAttention()
    }

    // MARK: Receiving

    /// Stops calling `received`; the peer is held back once the kernel's buffers are full. Nothing is lost.
    public func pauseReceiving() {
        isPaused = true
        needsAttention()
    }

    /// Goes on receiving, first what was held.
    public func resumeReceiving() {
        isPaused = false
        needsAttention()
    }

    // MARK: Ending

    /// Sends FIN after what is queued. Receiving goes on; the connection ends when the peer's FIN has come too.
    public func closeWrite() {
        mustSendFIN = true
        needsAttention()
    }

    /// Sends what is queued, then FIN, and is closed: `closed` is called when that is done, after at most `flushLimit`.
    /// What still comes in is dropped.
    public func close() {
        guard phase == .open else { return }
        phase = .closing
        mustSendFIN = true
        needsAttention()
    }

    /// Drops what is queued and resets the connection.
    public func abort() {
        guard phase == .open || phase == .closing else { return }
        isAborted = true
        needsAttention()
    }

    // MARK: The loop's side

    private func needsAttention() {
        guard !isNoted, phase != .closed || (delegate != nil && !hasToldClosed) else { return }
        isNoted = true
        loop.noteAttention(self)
    }

    /// For drivers: have `attend` called in the next turn.
    package func attendLater() { needsAttention() }

    /// Does what the owner's calls have made due. Only the loop calls it.
    func attend() {
        isNoted = false
        if phase == .closed || phase == .lingering { tellClosed(closeError) }
        guard phase != .closed else { return }
        if isAborted { return end(reset: true, nil) }
        if let failure { return end(reset: true, failure) }
        if phase == .closing, limit == nil {
            limit = loop.timers.add(loop.driver.now + Self.flushLimit) { [weak self] in
                self?.end(reset: true, .timedOut)
            }
        }
        deliverHeld()
        guard phase != .closed else { return }
        driver.updateReceiving(self)
        if queue.isEmpty {
            queue.trim(loop.chunks)
        } else if !hasSentFIN {
            driver.flush(self)
        }
        advance()
    }

    /// Whether the driver should receive now.
    package var wantsBytes: Bool {
        if hasPeerFIN || failure != nil || isAborted { return false }
        switch phase {
        case .open: return delegate != nil && !isPaused && held.isEmpty
        case .closing, .lingering: return true
        case .closed: return false
        }
    }

    /// From the driver: bytes that came in, in the driver's memory.
    package func didReceive(_ bytes: UnsafeMutableRawBufferPointer) {
        guard phase == .open, !isAborted, failure == nil else { return }
        if let delegate, !isPaused, held.isEmpty {
            delegate.received(bytes)
        } else {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
            copy.copyMemory(from: UnsafeRawBufferPointer(bytes))
            held.append(ReceivedBytes(bytes: copy))
        }
    }

    /// From the driver: the end of the peer's stream.
    package func didReceiveEnd() {
        hasPeerFIN = true
        needsAttention()
    }

    /// From the driver: `count` bytes of the queue are the kernel's.
    package func didSend(_ count: Int) {
        queue.consume(count, loop.chunks)
        sendProgressAt = queue.isEmpty ? nil : driver.now
        if wasAboveHighWater, queue.count <= Self.lowWater {
            wasAboveHighWater = false
            if phase == .open, !isAborted { delegate?.drained() }
        }
        if queue.isEmpty, mustSendFIN { needsAttention() }
    }

    /// From the driver: the connection is broken.
    package func didFail(_ error: ReactorError) {
        guard failure == nil else { return }
        failure = error
        needsAttention()
    }

    /// From the driver: nothing of the kernel's refers to the queue any more.
    package func didDetach() { queue.removeAll(loop.chunks) }

    private func deliverHeld() {
        if phase != .open {
            dropHeld()
            return
        }
        guard !held.isEmpty, let delegate, !isPaused else { return }
        var delivered = 0
        for piece in held {
            guard !isPaused, phase == .open, !isAborted else { break }
            delegate.received(piece.bytes)
            piece.bytes.deallocate()
            delivered &+= 1
        }
        held.removeFirst(delivered)
        if phase != .open { dropHeld() }
    }

    private func dropHeld() {
        for piece in held { piece.bytes.deallocate() }
        held = []
    }

    /// Tells of the peer's FIN, sends our own, and ends what has both.
    private func advance() {
        if hasPeerFIN, !hasToldPeerFIN, phase == .open, held.isEmpty, !isPaused, !isAborted, let delegate {
            hasToldPeerFIN = true
            delegate.peerClosedWrite()
        }
        if mustSendFIN, !hasSentFIN, queue.isEmpty, !isAborted, failure == nil {
            hasSentFIN = true
            driver.shutdownWrite(self)
        }
        guard hasSentFIN else { return }
        switch phase {
        case .open: if hasToldPeerFIN { end(reset: false, nil) }
        case .closing:
            if hasPeerFIN { return end(reset: false, nil) }
            phase = .lingering
            tellClosed(nil)
            limit?.cancel()
            limit = loop.timers.add(loop.driver.now + Self.lingerLimit) { [weak self] in
                self?.end(reset: true, nil)
            }
        case .lingering: if hasPeerFIN { end(reset: false, nil) }
        case .closed: break
        }
    }

    private func end(reset: Bool, _ error: ReactorError?) {
        guard phase != .closed else { return }
        phase = .closed
        limit?.cancel()
        limit = nil
        dropHeld()
        driver.detach(self, reset: reset)
        tellClosed(error)
    }

    private func tellClosed(_ error: ReactorError?) {
        guard !hasToldClosed else { return }
        guard let delegate else {
            closeError = error
            return
        }
        hasToldClosed = true
        self.delegate = nil
        delegate.closed(error)
    }

    /// Whether all bytes and the FIN are the kernel's, so that it brings them to the peer even when the socket is closed.
    var hasSentAll: Bool { hasSentFIN && queue.isEmpty }

    /// From the loop's end: the socket is gone.
    package func abandon() {
        phase = .closed
        limit?.cancel()
        limit = nil
        delegate = nil
    }
}

// MARK: - Connecting

extension TCPConnection {
    /// Connects to `address`, from an address of this machine's (port 0: any free one) or whichever the kernel chooses. Throws `.connectionRefused`, `.unreachable`, `.timedOut`, `.cancelled` or what else the
    /// kernel says.
    public static func connect(
        to address: SocketAddress, from source: SocketAddress? = nil, timeout: Duration
    ) async throws(ReactorError) -> TCPConnection {
        guard let loop = EventLoop.current else { throw .closed }
        let attempt = ConnectAttempt(to: address, from: source, loop: loop)
        return try await attempt.run(timeout: timeout)
    }
}
