import Crypto
import Multiformats
import Reactor

/// A secured connection to a peer, with its multiplexer and streams.
///
/// Between the socket and a stream there are only plain calls: received bytes are decrypted in place (or straight into
/// a waiting reader's memory), demultiplexed and delivered; written bytes are encrypted straight into the send queue.
/// No frame needs a task or an allocation. An idle connection holds no buffers.
@ReactorActor
final class Connection: TCPConnectionDelegate {
    /// How long the streams of a draining connection may continue.
    nonisolated static let drainTimeout: Duration = .seconds(30)

    private enum Phase {
        case open
        /// This side opens no more streams. The connection ends with the last stream or when the timer fires, for the
        /// given reason.
        case draining(Timer, LibP2PError)
        case closed
    }

    let host: Host
    let tcp: TCPConnection
    let isInbound: Bool
    let remoteKey: PublicKey
    let remotePeer: PeerID
    let openedAt: Duration
    let chunks: ChunkPool
    let noise: NoiseTransport?
    /// The state of the peer, which counts over all its connections.
    let peer: PeerState
    /// The number of bytes that reads have gathered but not yet returned.
    var gathered = 0
    /// The number of held bytes that are counted in `peer.held` and `host.held`.
    var countedHeld = 0
    /// Why the socket is not being read; empty while it is.
    var pauses: Pauses = []
    /// The number of inbound streams whose tasks have been started but do not run yet.
    var startingStreams = 0
    private var phase = Phase.open
    var mux: Yamux
    var streams: [Stream?] = []

    /// The streams that have bytes to send while the send queue is full: those of high priority, and the others.
    var urgentLine = StreamLine()
    var line = StreamLine()
    var isReceiving = false
    /// The stream into whose waiting reader's memory the current message is decrypted.
    var direct: Stream?
    private var tickTimer: Timer?
    /// Fires when the first bytes of a silent inbound stream may be overdue.
    var silenceTimer: Timer?
    var creditTimer: Timer?
    /// Tasks that wait to open a stream.
    let openers = WaitQueue()
    /// Inbound streams by protocol, for the limit on them.
    private var inboundByProtocol: [ProtocolID: Int] = [:]

    /// Creates a connection over `tcp`, which has been upgraded. `start` begins to use it.
    init(
        host: Host, tcp: TCPConnection, isInbound: Bool, outcome: SecurityUpgrade.Outcome, of peer: PeerState
    ) {
        self.host = host
        self.peer = peer
        self.tcp = tcp
        self.isInbound = isInbound
        remoteKey = outcome.remoteKey
        remotePeer = outcome.remotePeer
        openedAt = Reactor.now
        chunks = host.chunks
        noise = if case .noise(let transport) = outcome.transport { transport } else { nil }
        mux = Yamux(isInbound ? .listener : .dialer, limits: host.limits.yamux, now: Reactor.now)
    }

    /// Takes over the socket. `leftover` was received after the handshake.
    func start(leftover: [UInt8]) {
        tcp.delegate = self
        mux.ping(now: Reactor.now)
        if !leftover.isEmpty {
            leftover.withUnsafeBytes { receivedPlaintext($0) }
        }
        flushControl()
        armTick()
    }

    var isOpen: Bool { if case .open = phase { true } else { false } }
    var isClosed: Bool { if case .closed = phase { true } else { false } }

    // MARK: Streams

    /// Opens a stream. Suspends while the peer has too many unacknowledged ones.
    func openStream() async throws(LibP2PError) -> Stream {
        while isOpen {
            switch mux.open(now: Reactor.now) {
            case .opened(let slot):
                let stream = Stream(self, slot: slot, isInbound: false)
                attach(stream, slot)
                return stream
            case .backlogFull:
                guard await openers.wait() else { throw .cancelled }
            case .tooMany: throw .limitReached("streams to one peer")
            case .exhausted: throw .connectionClosed
            }
        }
        throw .connectionClosed
    }

    func attach(_ stream: Stream, _ slot: Int) {
        while streams.count <= slot { streams.append(nil) }
        streams[slot] = stream
    }

    /// Forgets the stream in a slot that the multiplexer has freed.
    func detach(_ slot: Int) {
        countHeld()
        guard slot < streams.count, let stream = streams[slot] else { return }
        streams[slot] = nil
        leaveLine(stream)
        if let id = stream.countedProtocol {
            inboundByProtocol[id] = inboundByProtocol[id].flatMap { $0 > 1 ? $0 &- 1 : nil }
        }
        openers.wakeFirst()
        guard mux.streamCount == 0 else { return }
        streams = []
        if !isReceiving { closeIfDrained() }
    }

    /// Counts an inbound stream towards its protocol's limit. Returns false if the limit has been reached or the stream
    /// has ended.
    func admit(_ stream: Stream, _ id: ProtocolID) -> Bool {
        let count = inboundByProtocol[id, default: 0]
        guard stream.slot != nil, count < host.limits.streamsPerProtocol else { return false }
        inboundByProtocol[id] = count &+ 1
        stream.countedProtocol = id
        return true
    }

    func closeWrite(_ stream: Stream) {
        guard let slot = stream.slot else { return }
        if mux.closeWrite(slot, now: Reactor.now) { gone(stream, slot) }
        flushSoon()
    }

    func closeRead(_ stream: Stream) {
        guard let slot = stream.slot else { return }
        if mux.closeRead(slot, now: Reactor.now) { gone(stream, slot) }
        countHeld()
        flushSoon()
    }

    /// Resets the slot of a stream that has failed.
    func reset(_ slot: Int) {
        mux.reset(slot)
        detach(slot)
        flushSoon()
    }

    /// Gives back the window of `count` bytes that the stream's reader has taken.
    func consumed(_ stream: Stream, _ count: Int) {
        guard count > 0, let slot = stream.slot else { return }
        mux.consumed(slot, count, now: Reactor.now)
        countHeld()
        flushSoon()
    }

    /// Completes a stream that both sides have ended in order, so that the multiplexer has freed its slot.
    func gone(_ stream: Stream, _ slot: Int) {
        stream.completed()
        detach(slot)
    }

    // MARK: Receiving

    override func received(_ bytes: UnsafeMutableRawBufferPointer) {
        guard !isClosed else { return }
        guard let noise else { return receivedPlaintext(UnsafeRawBufferPointer(bytes)) }
        isReceiving = true
        do throws(LibP2PError) {
            try noise.receive(
                bytes, place: { directTarget($0, isWhole: $1) },
                deliver: { (plaintext) throws(LibP2PError) in
                    let cost = mux.cost
                    defer { if mux.cost == cost { mux.cost &+= NoiseTransport.cost(of: plaintext.count) } }
                    if let direct {
                        self.direct = nil
                        mux.took(plaintext.count)
                        direct.filledDirectly(plaintext.count)
                        if let slot = direct.slot {
                            mux.consumed(slot, plaintext.count, now: Reactor.now)
                        }
                        charge(direct)
                        try demultiplex(UnsafeRawBufferPointer(start: nil, count: 0))
                    } else {
                        try demultiplex(UnsafeRawBufferPointer(plaintext))
                    }
                })
        } catch {
            isReceiving = false
            return fail(error)
        }
        endReceiving()
    }

    override func drained() {
        guard !isClosed else { return }
        flushControl()
        serveLines()
        updatePauses()
    }

    override func peerClosedWrite() {
        guard !isClosed else { return }
        tcp.close()
        end(.peerClosed)
    }

    override func closed(_ error: ReactorError?) {
        end(error.map { .network($0.description) } ?? .connectionClosed)
        host.socketClosed()
    }

    // MARK: Time

    func armTick() {
        guard !isClosed else { return }
        let due = min(mux.nextTick, nextSendCheck())
        if let tickTimer, tickTimer.isPending {
            guard tickTimer.deadline > due else { return }
            tickTimer.cancel()
        }
        tickTimer = Reactor.schedule(after: max(.zero, due - Reactor.now)) { self.tick() }
    }

    private func tick() {
        tickTimer = nil
        guard !isClosed, checkSending() else { return }
        var freed: [Int] = []
        do {
            try mux.tick(now: Reactor.now) { freed.append($0) }
        } catch {
            return fail(.multiplexer(error.description))
        }
        for slot in freed where slot < streams.count { streams[slot]?.fail(.streamReset) }
        for slot in freed { detach(slot) }
        flushControl()
        updatePauses()
        armTick()
    }

    // MARK: Ending

    /// Stops opening streams and closes once the last one has ended, after `drainTimeout` at the latest.
    func drain() {
        beginDraining(.connectionClosed)
        flushSoon()
    }

    /// Begins to drain. `reason` is why the connection will end.
    func beginDraining(_ reason: LibP2PError) {
        guard isOpen else { return }
        phase = .draining(Reactor.schedule(after: Self.drainTimeout) { self.close() }, reason)
        mux.goAway()
        host.connectionDraining(self)
        openers.wakeAll()
    }

    /// Closes a draining connection once the peer has sent its go-away and no stream is left. Until then it may have
    /// sent the first bytes of one.
    func closeIfDrained() {
        if case .draining = phase, mux.hasReceivedGoAway, mux.streamCount == 0 { close() }
    }

    /// Sends a go-away and closes. Open streams fail.
    func close(for reason: LibP2PError? = nil) {
        guard !isClosed else { return }
        mux.goAway()
        flushControl(evenIfFull: true)
        tcp.close()
        let farewell =
            if case .draining(_, let reason) = phase { reason } else { LibP2PError.connectionClosed }
        end(reason ?? farewell)
    }

    /// Closes a broken connection, without a go-away.
    func fail(_ reason: LibP2PError) {
        guard !isClosed else { return }
        tcp.close()
        end(reason)
    }

    private func end(_ reason: LibP2PError) {
        switch phase {
        case .closed: return
        case .draining(let timer, _): timer.cancel()
        case .open: break
        }
        phase = .closed
        for timer in [tickTimer, silenceTimer, creditTimer] { timer?.cancel() }
        dropHeld()
        let ended = streams
        streams = []
        urgentLine.removeAll()
        line.removeAll()
        direct = nil
        for stream in ended { stream?.fail(.connectionClosed) }
        openers.wakeAll()
        host.connectionEnded(self, reason)
    }

    /// Sends the control frames that a stream's call has queued, unless received bytes are being handled and more may
    /// follow.
    func flushSoon() {
        if !isReceiving { flushControl() }
        if mux.lingering > 0 { armTick() }
    }
}
