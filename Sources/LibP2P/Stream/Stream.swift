import Crypto
import Multiformats
import Reactor

/// A stream to a peer: ordered bytes in both directions, with flow control, on a connection shared with other streams.
///
/// Reads and writes suspend until they can proceed. One task may read while another writes; two reads or two writes at
/// once are refused. The stream's window bounds the bytes that wait for a slow reader. The owner ends a stream with
/// `close()` or `reset()`; a handler's stream is closed when the handler returns.
///
/// Every operation throws the reason why the stream cannot continue: `streamReset` by the peer, `connectionClosed`,
/// `timedOut` past the deadline, `streamClosed` after this side ended it, `cancelled`.
@ReactorActor
public final class Stream {
    /// The stream's state in its connection's multiplexer.
    enum State {
        /// The peer has opened it but sent no byte. It is not served yet.
        case silent(slot: Int)
        /// It is in use.
        case open(slot: Int)
        /// Both sides have ended it in order, and the multiplexer has forgotten it. Received bytes can still be read.
        case completed
        /// Writes fail. Reads fail, too, unless the peer had ended its bytes before.
        case failed(LibP2PError)
    }

    /// The peer's half of the stream.
    enum Receiving {
        case open
        /// The peer has ended its bytes; some may still wait to be read.
        case finished
        /// This side has stopped reading.
        case closed
    }

    /// This side's half of the stream.
    enum Sending {
        case idle
        /// A write is under way and not suspended.
        case writing
        /// A write is suspended until the peer's window or the send queue has room for the rest of its bytes.
        case blocked(PendingWrite)
        /// This side has ended its bytes.
        case closed
    }

    /// The state of the negotiation of the stream's protocol.
    enum Negotiation {
        /// The offer leaves with the first write.
        case due(MultistreamDialer)
        /// The offer has left; the answer has not been read.
        case offered(MultistreamDialer)
        case settled
    }

    /// The state of the only task that reads.
    enum Reader {
        case none
        /// Taking the stream's bytes, or waiting for them.
        case reading
        /// Waiting for something else, while it holds the bytes gathered.
        case elsewhere
    }

    /// The bytes that a suspended read waits for.
    enum Demand {
        case none
        /// This many bytes in the queue.
        case queued(Int)
        /// At least `minimum` bytes in the reader's own memory, whose first `filled` bytes have arrived.
        case placed(UnsafeMutableRawBufferPointer, filled: Int, minimum: Int)
    }

    /// The stream's protocol.
    public internal(set) var protocolID: ProtocolID
    /// The peer at the other end.
    public var remotePeer: PeerID { connection.remotePeer }
    /// The peer's key. With `/plaintext/2.0.0` it is only a claim.
    public var remotePublicKey: PublicKey { connection.remoteKey }
    /// Whether the peer opened the stream.
    public let isInbound: Bool

    let connection: Connection
    private(set) var state: State
    var negotiation = Negotiation.settled

    // Receiving.
    var receiving = Receiving.open
    var reader = Reader.none
    var demand = Demand.none
    let readerWait = StreamWait()
    var queue = ReceiveQueue()
    /// The number of bytes received on the stream, including the negotiation.
    public internal(set) var bytesReceived = 0
    /// The number of received bytes that no read has taken.
    public var bytesWaiting: Int { queue.count }
    /// The number of bytes that the current read has taken but not returned.
    var gathered = 0
    var pace = StreamPace()

    // Sending.
    var sending = Sending.idle
    let writerWait = StreamWait()
    /// The number of bytes of completed writes.
    var bytesSent = 0
    /// The priority of the stream's protocol, set before the first byte of a message is sent.
    var priority = StreamPriority.low
    /// Whether the stream is in a line of its connection.
    var isInLine = false
    var nextInLine: Stream?

    /// Called when the stream fails, for a reader that waits for something else while it holds bytes.
    public var onFailure: (@ReactorActor () -> Void)?

    /// The metrics of the stream's protocol; nil until that is known.
    var metrics: StreamMetrics?
    /// The number of received bytes that the metrics count already.
    private var countedReceived = 0

    /// The protocol whose limit counts the stream.
    var countedProtocol: ProtocolID?

    private var deadlineTimer: Timer?

    /// Creates the stream in `slot` of the multiplexer: silent if the peer opened it, otherwise open.
    init(_ connection: Connection, slot: Int, isInbound: Bool) {
        self.connection = connection
        state = isInbound ? .silent(slot: slot) : .open(slot: slot)
        protocolID = ""
        self.isInbound = isInbound
    }

    /// The stream's slot in the multiplexer; nil once that has forgotten the stream.
    var slot: Int? {
        switch state {
        case .silent(let slot), .open(let slot): slot
        case .completed, .failed: nil
        }
    }

    /// Why the stream has failed; nil if it has not.
    public var failure: LibP2PError? { if case .failed(let reason) = state { reason } else { nil } }

    var isSilent: Bool { if case .silent = state { true } else { false } }

    /// Opens a silent stream, whose first bytes have arrived.
    func begin() {
        if case .silent(let slot) = state { state = .open(slot: slot) }
    }

    /// Counts the bytes received since the last call.
    func countReceived() {
        guard let metrics, bytesReceived > countedReceived else { return }
        metrics.received.add(UInt64(bytesReceived &- countedReceived))
        countedReceived = bytesReceived
    }

    // MARK: Deadline

    /// The reactor time after which reads and writes fail with `timedOut`; the stream is then reset.
    public var deadline: Duration? {
        didSet { if readerWait.isWaiting || writerWait.isWaiting { armDeadline() } }
    }

    /// Sets the deadline to `duration` from now.
    public func setTimeout(_ duration: Duration) {
        deadline = Reactor.now + duration
    }

    /// Ensures that a timer fires at the deadline or before. The timer serves many waits and re-arms itself if it is
    /// early.
    private func armDeadline() {
        guard let deadline = nextLook else { return }
        if let timer = deadlineTimer, timer.isPending, timer.deadline <= deadline { return }
        deadlineTimer?.cancel()
        deadlineTimer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) {
            self.deadlineTimerFired()
        }
    }

    /// The deadline, or the time of the next check of a long read's pace, if that is earlier.
    private var nextLook: Duration? {
        guard let pace = pace.deadline else { return deadline }
        return deadline.map { min($0, pace) } ?? pace
    }

    private func deadlineTimerFired() {
        deadlineTimer = nil
        guard readerWait.isWaiting || writerWait.isWaiting else { return }
        if !failIfLate(), !failIfSlow() { armDeadline() }
    }

    /// Resets the stream and returns true if a long read is slower than the minimum rate.
    private func failIfSlow() -> Bool {
        let isExcused = !connection.pauses.isEmpty
        guard pace.isTooSlow(gathered: gathered, isExcused: isExcused, now: Reactor.now) else { return false }
        connection.host.log.info(
            "stream reset: its peer sends too slowly",
            ["peer": .of(remotePeer), "protocol": .of(protocolID), "bytes": .number(gathered)])
        abandon(.timedOut)
        connection.host.stalled(remotePeer, .sending)
        return true
    }

    /// Resets the stream and returns true if its deadline has passed.
    @discardableResult
    func failIfLate() -> Bool {
        guard let deadline, Reactor.now >= deadline, slot != nil else { return false }
        abandon(.timedOut)
        return true
    }

    // MARK: Ending

    /// Ends this side's bytes, after which the peer reads the end of the stream. Reading continues.
    ///
    /// If a write is suspended, it fails and the stream is reset.
    public func closeWrite() {
        guard failure == nil else { return }
        switch sending {
        case .closed: return
        case .blocked: return abandon(.streamClosed)
        case .idle, .writing: break
        }
        sendOffer()
        sending = .closed
        connection.closeWrite(self)
    }

    /// Ends both directions: the peer reads the end of the stream, and further bytes from it are dropped.
    public func close() {
        closeWrite()
        guard failure == nil, receiving != .closed else { return }
        receiving = .closed
        queue.clear(pool: connection.chunks)
        connection.closeRead(self)
        readerWait.resume()
    }

    /// Ends both directions at once; undelivered bytes are lost. The peer's reads and writes fail with `streamReset`.
    public func reset() {
        abandon(.streamClosed)
    }

    /// Resets the stream towards the peer and fails it here for `reason`.
    func abandon(_ reason: LibP2PError) {
        guard failure == nil else { return }
        releaseUnheld()
        let slot = slot
        state = .failed(reason)
        if let slot { connection.reset(slot) }
        failed()
    }

    /// Fails a stream that the multiplexer has forgotten.
    func fail(_ reason: LibP2PError) {
        guard failure == nil else { return }
        state = .failed(reason)
        releaseUnheld()
        failed()
    }

    /// Wakes both sides after a failure.
    private func failed() {
        countReceived()
        // Bytes before the peer's end can still be read.
        if receiving != .finished { queue.clear(pool: connection.chunks) }
        cancelDeadline()
        readerWait.resume()
        writerWait.resume()
        onFailure?()
    }

    /// Releases the charge of a read that ends with the stream. A reader that waits for something else still holds its
    /// bytes.
    private func releaseUnheld() {
        if reader != .elsewhere { releaseGathered() }
    }

    /// Notes that both sides have ended the stream in order.
    func completed() {
        state = .completed
        countReceived()
        cancelDeadline()
    }

    private func cancelDeadline() {
        deadlineTimer?.cancel()
        deadlineTimer = nil
    }

    /// Suspends the reading or the writing task until that side is resumed. Returns false if the task was cancelled.
    func suspend(_ side: StreamWait) async -> Bool {
        armDeadline()
        return await side.suspend()
    }
}
