import Crypto
import Multiformats
import Reactor

/// One secured connection to a peer, the multiplexer on it, and its streams.
///
/// Everything between the socket and a stream happens in plain calls: received bytes are decrypted where they lie (or
/// straight into a waiting reader's memory), taken apart and delivered; written bytes are encrypted straight into the
/// send queue. No task is involved and nothing is allocated for a frame. An idle connection holds no buffers.
@ReactorActor
final class Connection: TCPConnectionDelegate {
    /// How long the streams of a connection that is being given up may go on.
    nonisolated static let drainTimeout: Duration = .seconds(30)

    private enum Phase {
        case open
        /// This side opens no more streams. The connection ends, for the reason, with the last stream or with the timer.
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
    /// The peer's, for what is counted over all its connections.
    let peer: PeerState
    /// Bytes that reads have gathered and not handed over.
    var gathered = 0
    /// How many of the bytes held the peer and the host have been told of.
    var countedHeld = 0
    /// Why the socket is not read at the moment.
    var pauses: Pauses = []
    /// Inbound streams whose tasks have been started and do not run yet.
    var startingStreams = 0
    private var phase = Phase.open
    var mux: Yamux
    var streams: [Stream?] = []

    /// Streams with something to send, first to last, while the send queue is full.
    var lineHead: Stream?
    var lineTail: Stream?
    var isReceiving = false
    /// The stream into whose reader's memory the message at hand is decrypted.
    var direct: Stream?
    private var tickTimer: Timer?
    /// Fires when inbound streams that have said nothing may be late.
    var silenceTimer: Timer?
    var creditTimer: Timer?
    /// Tasks that wait to open a stream.
    let openers = WaitQueue()
    /// Inbound streams by protocol, for the limit on them.
    private var inboundByProtocol: [ProtocolID: Int] = [:]

    /// A connection over `tcp`, which has been upgraded. `start` sets it going.
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

    /// Takes over the connection. `leftover` came behind the handshake.
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

    /// Opens a stream, waiting for its turn when the peer has many unanswered ones.
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

    /// Counts an inbound stream towards its protocol's limit. False when that is reached.
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

    /// Resets the stream in a slot, which has failed already.
    func reset(_ slot: Int) {
        mux.reset(slot)
        detach(slot)
        flushSoon()
    }

    /// Gives back the window of what the stream's reader has taken.
    func consumed(_ stream: Stream, _ count: Int) {
        guard count > 0, let slot = stream.slot else { return }
        mux.consumed(slot, count, now: Reactor.now)
        countHeld()
        flushSoon()
    }

    /// The multiplexer has freed the slot, both sides having ended the stream in order.
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
                bytes, place: { directTarget($0) },
                deliver: { (plaintext) throws(LibP2PError) in
                    let cost = mux.cost
                    defer { if mux.cost == cost { mux.cost &+= NoiseTransport.cost(of: plaintext.count) } }
                    if let direct {
                        self.direct = nil
                        mux.tookBody(plaintext.count)
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
        serveLine()
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

    /// Opens no more streams and closes when the last one has ended, after `drainTimeout` at the latest.
    func drain() {
        beginDraining(.connectionClosed)
        flushSoon()
    }

    /// `reason`: why the connection ends.
    func beginDraining(_ reason: LibP2PError) {
        guard isOpen else { return }
        phase = .draining(Reactor.schedule(after: Self.drainTimeout) { self.close() }, reason)
        mux.goAway()
        host.connectionDraining(self)
        openers.wakeAll()
    }

    /// Closes once neither side can open a stream and none is left. A side that has not said so may have sent the
    /// first bytes of one.
    func closeIfDrained() {
        if case .draining = phase, mux.hasReceivedGoAway, mux.streamCount == 0 { close() }
    }

    /// Says goodbye and closes; streams that are still open fail.
    func close(for reason: LibP2PError? = nil) {
        guard !isClosed else { return }
        mux.goAway()
        flushControl(evenIfFull: true)
        tcp.close()
        let farewell =
            if case .draining(_, let reason) = phase { reason } else { LibP2PError.connectionClosed }
        end(reason ?? farewell)
    }

    /// Gives up a connection on which nothing makes sense any more.
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
        tickTimer?.cancel()
        tickTimer = nil
        silenceTimer?.cancel()
        silenceTimer = nil
        creditTimer?.cancel()
        creditTimer = nil
        dropHeld()
        let ended = streams
        streams = []
        lineHead = nil
        lineTail = nil
        direct = nil
        for stream in ended {
            stream?.fail(.connectionClosed)
        }
        openers.wakeAll()
        host.connectionEnded(self, reason)
    }

    /// Sends the control frames that a call from a stream has made, unless more may come in this turn.
    func flushSoon() {
        if !isReceiving { flushControl() }
        if mux.lingering > 0 { armTick() }
    }
}
