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
    /// The protocol that is spoken on the stream.
    public internal(set) var protocolID: ProtocolID
    /// The peer at the other end.
    public var remotePeer: PeerID { connection.remotePeer }
    /// The peer's key. With `/plaintext/2.0.0` it is a claim only.
    public var remotePublicKey: PublicKey { connection.remoteKey }
    /// Whether the peer opened the stream.
    public let isInbound: Bool

    let connection: Connection
    /// The stream's place in the multiplexer; negative once it is gone from there.
    var slot: Int

    // Receiving.
    var queue = ReceiveQueue()
    /// The waiting reader's own memory, how much of it is filled, and how much the reader waits for.
    var readTarget = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    var readFilled = 0
    /// Bytes that the peer has sent on the stream, those of the negotiation included.
    public internal(set) var bytesReceived = 0
    var readMinimum = 0
    var isReading = false
    /// Whether the read under way waits for something else than the stream's bytes.
    var isReaderElsewhere = false
    /// Bytes that the read under way has taken and not handed over.
    var gathered = 0
    var pace = StreamPace()
    /// Whether an inbound stream has not brought a byte yet.
    var isSilent = false
    let reader = StreamWait()
    var remoteFinished = false
    var readClosed = false

    // Sending.
    /// What a suspended write has still to send.
    var pending = PendingWrite.none
    var pendingOffset = 0
    var isWriting = false
    /// Bytes of the writes that are done.
    var bytesSent = 0
    let writer = StreamWait()
    var writeClosed = false
    /// Whether the stream stands in its connection's line of streams with something to send.
    var isInLine = false
    var nextInLine: Stream?

    /// Why the stream can neither be read nor written any more.
    public internal(set) var failure: LibP2PError?
    /// Called when the stream fails: for a reader that waits for something else, with what it has gathered.
    public var onFailure: (@ReactorActor () -> Void)?
    /// The negotiation that is still to be sent with the first write.
    var prefix: [UInt8] = []
    /// The negotiation whose answer has not been read.
    var negotiation: MultistreamDialer?

    /// The protocol towards whose limit the stream counts.
    var countedProtocol: ProtocolID?

    private var deadlineTimer: Timer?

    init(_ connection: Connection, slot: Int, protocolID: ProtocolID, isInbound: Bool) {
        self.connection = connection
        self.slot = slot
        self.protocolID = protocolID
        self.isInbound = isInbound
    }

    // MARK: Deadline

    /// The reactor time after which reads and writes fail with `timedOut`; the stream is then reset.
    public var deadline: Duration? {
        didSet { if reader.isWaiting || writer.isWaiting { armDeadline() } }
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
        guard reader.isWaiting || isReading, let pace = pace.deadline else { return deadline }
        return deadline.map { min($0, pace) } ?? pace
    }

    private func deadlineTimerFired() {
        deadlineTimer = nil
        guard reader.isWaiting || writer.isWaiting else { return }
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
        guard let deadline, Reactor.now >= deadline, failure == nil, !(remoteFinished && writeClosed) else {
            return false
        }
        abandon(.timedOut)
        return true
    }

    // MARK: Ending

    /// Ends this side's bytes; the peer reads end of stream behind them. Reading goes on.
    ///
    /// A write that is suspended at that moment fails, and the stream is reset.
    public func closeWrite() {
        guard failure == nil, !writeClosed else { return }
        guard !writer.isWaiting else { return abandon(.streamClosed) }
        sendPrefix()
        writeClosed = true
        connection.closeWrite(self)
    }

    /// Ends both sides: the peer reads end of stream, and what it still sends is dropped.
    public func close() {
        closeWrite()
        guard failure == nil, !readClosed else { return }
        readClosed = true
        queue.clear(pool: connection.chunks)
        connection.closeRead(self)
        reader.resume()
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
        connection.reset(self)
        fail(reason)
    }

    /// Ends the stream here, the multiplexer having forgotten it: wakes both sides.
    func fail(_ reason: LibP2PError) {
        slot = -1
        isSilent = false
        guard failure == nil else { return }
        failure = reason
        releaseUnheld()
        // What came in order before the peer's end can still be read.
        if !remoteFinished || readClosed { queue.clear(pool: connection.chunks) }
        pending = .none
        deadlineTimer?.cancel()
        deadlineTimer = nil
        reader.resume()
        writer.resume()
        onFailure?()
    }

    /// Gives up the charge of a read that ends with the stream. One that waits for something else still has the bytes.
    private func releaseUnheld() {
        if !isReaderElsewhere { releaseGathered() }
    }

    /// The stream has ended in order in both directions.
    func completed() {
        slot = -1
        deadlineTimer?.cancel()
        deadlineTimer = nil
    }

    /// Suspends the reading or the writing task until that side is resumed. False when the task was cancelled.
    func suspend(_ side: StreamWait) async -> Bool {
        armDeadline()
        return await side.suspend()
    }
}
