import Crypto
import Multiformats
import Reactor

/// One stream to a peer: bytes in order both ways, flow-controlled, on a connection shared with other streams.
///
/// Reads and writes suspend until they can proceed. One task may read while another writes; two reads or two
/// writes at once are refused. What a slow reader leaves waiting is bounded by the stream's window. Whoever holds
/// a stream ends it with `close()` or `reset()`; a handler's stream is closed when the handler returns.
///
/// Every operation throws the reason for which the stream cannot go on: `streamReset` by the peer,
/// `connectionClosed`, `timedOut` past the deadline, `streamClosed` after this side ended it, `cancelled`.
@ReactorActor
public final class Stream {
    /// How the stream stands with its connection's multiplexer.
    enum State {
        /// The peer has opened it and not sent a byte. Nobody serves it yet.
        case silent(slot: Int)
        /// It is in use.
        case open(slot: Int)
        /// Both sides have ended it in order and the multiplexer has forgotten it. What has come can still be read.
        case completed
        /// It cannot be written any more, nor read beyond a peer's end that has come before.
        case failed(LibP2PError)
    }

    /// The peer's half.
    enum Receiving {
        case open
        /// The peer has ended its bytes; some may still wait to be read.
        case finished
        /// This side reads no more.
        case closed
    }

    /// This side's half.
    enum Sending {
        case idle
        /// A write is under way that does not wait.
        case writing
        /// A write waits for the peer's window or the send queue with bytes that have not left.
        case blocked(PendingWrite)
        /// This side has ended its bytes.
        case closed
    }

    /// How far the choice of the stream's protocol has come.
    enum Negotiation {
        /// The offer leaves with the first write.
        case due(MultistreamDialer)
        /// The offer has left; the answer has not been read.
        case offered(MultistreamDialer)
        case settled
    }

    /// What the one task that reads is doing.
    enum Reader {
        case none
        /// Taking the stream's bytes, or waiting for them.
        case reading
        /// Waiting for something else, with the bytes it has gathered.
        case elsewhere
    }

    /// What a suspended read waits for.
    enum Demand {
        case none
        /// That many bytes in the queue.
        case queued(Int)
        /// At least `minimum` bytes in the reader's own memory, the first `filled` of which have come.
        case placed(UnsafeMutableRawBufferPointer, filled: Int, minimum: Int)
    }

    /// The protocol that is spoken on the stream.
    public internal(set) var protocolID: ProtocolID
    /// The peer at the other end.
    public var remotePeer: PeerID { connection.remotePeer }
    /// The peer's key. With `/plaintext/2.0.0` it is a claim only.
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
    /// Bytes that the peer has sent on the stream, those of the negotiation included.
    public internal(set) var bytesReceived = 0
    /// Bytes that the read under way has taken and not handed over.
    var gathered = 0
    var pace = StreamPace()

    // Sending.
    var sending = Sending.idle
    let writerWait = StreamWait()
    /// Bytes of the writes that are done.
    var bytesSent = 0
    /// Whether the stream stands in its connection's line of streams with something to send.
    var isInLine = false
    var nextInLine: Stream?

    /// Called when the stream fails: for a reader that waits for something else, with what it has gathered.
    public var onFailure: (@ReactorActor () -> Void)?

    /// The protocol towards whose limit the stream counts.
    var countedProtocol: ProtocolID?

    private var deadlineTimer: Timer?

    /// A stream that the multiplexer has in `slot`: silent if the peer has opened it, else with an offer of protocols.
    init(_ connection: Connection, slot: Int, isInbound: Bool) {
        self.connection = connection
        state = isInbound ? .silent(slot: slot) : .open(slot: slot)
        protocolID = ""
        self.isInbound = isInbound
    }

    /// The stream's place in the multiplexer; nil once it is gone from there.
    var slot: Int? {
        switch state {
        case .silent(let slot), .open(let slot): slot
        case .completed, .failed: nil
        }
    }

    /// Why the stream can neither be read nor written any more.
    public var failure: LibP2PError? { if case .failed(let reason) = state { reason } else { nil } }

    var isSilent: Bool { if case .silent = state { true } else { false } }

    /// The first bytes of a silent stream have come.
    func begin() {
        if case .silent(let slot) = state { state = .open(slot: slot) }
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

    /// Makes sure that a timer fires at the deadline or before. Kept over many waits: it re-arms itself if early.
    private func armDeadline() {
        guard let deadline = nextLook else { return }
        if let timer = deadlineTimer, timer.isPending, timer.deadline <= deadline { return }
        deadlineTimer?.cancel()
        deadlineTimer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) {
            self.deadlineTimerFired()
        }
    }

    /// When the deadline passes or the pace of a long read is to be looked at.
    private var nextLook: Duration? {
        guard let pace = pace.deadline else { return deadline }
        return deadline.map { min($0, pace) } ?? pace
    }

    private func deadlineTimerFired() {
        deadlineTimer = nil
        guard readerWait.isWaiting || writerWait.isWaiting else { return }
        if !failIfLate(), !failIfSlow() { armDeadline() }
    }

    /// Resets the stream when its long read is slower than the least rate.
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

    /// Resets the stream when its deadline has passed.
    @discardableResult
    func failIfLate() -> Bool {
        guard let deadline, Reactor.now >= deadline, slot != nil else { return false }
        abandon(.timedOut)
        return true
    }

    // MARK: Ending

    /// Ends this side's bytes; the peer reads end of stream behind them. Reading goes on.
    ///
    /// A write that is suspended at that moment fails, and the stream is reset.
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

    /// Ends both sides: the peer reads end of stream, and what it still sends is dropped.
    public func close() {
        closeWrite()
        guard failure == nil, receiving != .closed else { return }
        receiving = .closed
        queue.clear(pool: connection.chunks)
        connection.closeRead(self)
        readerWait.resume()
    }

    /// Ends the stream at once in both directions; what has not been delivered is lost. The peer's reads and
    /// writes fail with `streamReset`.
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

    /// Ends the stream here, the multiplexer having forgotten it.
    func fail(_ reason: LibP2PError) {
        guard failure == nil else { return }
        state = .failed(reason)
        releaseUnheld()
        failed()
    }

    /// Wakes both sides after a failure.
    private func failed() {
        // What came in order before the peer's end can still be read.
        if receiving != .finished { queue.clear(pool: connection.chunks) }
        cancelDeadline()
        readerWait.resume()
        writerWait.resume()
        onFailure?()
    }

    /// Gives up the charge of a read that ends with the stream. One that waits for something else still has the bytes.
    private func releaseUnheld() {
        if reader != .elsewhere { releaseGathered() }
    }

    /// The stream has ended in order in both directions.
    func completed() {
        state = .completed
        cancelDeadline()
    }

    private func cancelDeadline() {
        deadlineTimer?.cancel()
        deadlineTimer = nil
    }

    /// Suspends the reading or the writing task until that side is resumed. False when the task was cancelled.
    func suspend(_ side: StreamWait) async -> Bool {
        armDeadline()
        return await side.suspend()
    }
}
