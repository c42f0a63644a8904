/// The yamux multiplexer of one connection, without I/O: many streams with flow control over one byte stream.
///
/// Yamux specification (hashicorp/yamux, spec.md) and the libp2p yamux profile; windows grow with the round-trip time
/// as in go-yamux. A machine: `next` turns received bytes into events, `dataHeader` makes the headers of data frames,
/// and all other frames to be sent collect in `control`.
///
/// A stream is named by its slot, a small number that is valid until the machine reports that it is gone. `YamuxLimits`
/// bounds memory: the owner holds no more bytes than `unread` counts, and they never exceed the sum of the windows.
struct Yamux {
    enum Role: Sendable { case dialer, listener }

    /// The meaning of received bytes. Pointers refer to the bytes passed to `next`.
    enum Event {
        /// The peer opened a stream.
        case opened(slot: Int)
        /// Bytes of a stream, to deliver or drop; `consumed` gives their window back.
        case data(slot: Int, UnsafeRawBufferPointer)
        /// The peer has ended its side of the stream. `gone`: the slot is free now.
        case finished(slot: Int, gone: Bool)
        /// The stream was reset; the slot is free now.
        case reset(slot: Int)
        /// A stream without send window has some again.
        case writable(slot: Int)
        /// The peer accepted a stream that this side opened, which makes room in the backlog.
        case acknowledged(slot: Int)
        /// The peer has answered this side's ping.
        case pong
        /// The peer accepts and opens no more streams; the code is its reason.
        case goAway(UInt32)
    }

    /// One stream.
    struct Slot {
        /// Which sides have ended the stream. A stream that both have ended has no slot.
        enum State: Equatable {
            /// There is no stream.
            case free
            /// Neither side has ended its bytes. `isRead`: this side still reads the peer's.
            case open(isRead: Bool)
            /// Only the peer has ended its bytes.
            case peerFinished(isRead: Bool)
            /// Only this side has ended its bytes, and it reads the peer's.
            case finished
            /// This side has ended its bytes, no longer reads, and has waited for the peer's end since then.
            case lingering(since: Duration)
        }

        /// Whether the peer knows of the stream.
        enum Announcement {
            /// SYN leaves with the stream's first frame.
            case due
            /// SYN has left; the peer's ACK has not arrived.
            case sent
            /// The peer has acknowledged or opened the stream.
            case settled
        }

        /// Zero in a free slot.
        var id: UInt32 = 0
        var state = State.free
        var announcement = Announcement.settled
        var sendWindow = YamuxLimits.initialWindow
        var receiveWindow = YamuxLimits.initialWindow
        var receiveMaximum = YamuxLimits.initialWindow
        var unread = 0
        var epoch: Duration = .zero

        /// Whether this side still reads the peer's bytes.
        var isRead: Bool {
            switch state {
            case .open(let isRead), .peerFinished(let isRead): isRead
            case .finished: true
            case .free, .lingering: false
            }
        }

        /// Whether this side may still send bytes.
        var isWritable: Bool {
            switch state {
            case .open, .peerFinished: true
            case .free, .finished, .lingering: false
            }
        }

        /// Whether the peer has ended its bytes.
        var isPeerFinished: Bool { if case .peerFinished = state { true } else { false } }
        var isLingering: Bool { if case .lingering = state { true } else { false } }
    }

    /// The parser's position in a frame: each step may report an event.
    enum Stage { case header, open, acknowledge, content, finish }

    let role: Role
    var limits: YamuxLimits
    var slots: [Slot] = []
    var freeSlots: [Int] = []
    var index: [UInt32: Int] = [:]
    var nextID: UInt32
    var highestPeerID: UInt32 = 0
    var inboundCount = 0
    var outboundCount = 0
    var unacknowledged = 0
    var growth = 0
    var lingering = 0

    /// The number of bytes reported by `data` events and not yet given back by `consumed`, over all streams.
    var unread = 0
    /// Control frames to send, in order and before any data frame made later.
    var control: [UInt8] = []
    /// The cost of the frames received, less that of the answers to frames sent. The owner resets it to zero
    /// (`MessageCredit`).
    var cost = 0

    /// The smoothed round-trip time; nil until the first pong.
    var roundTrip: Duration?
    var pingValue: UInt32 = 0
    var pingSent: Duration?
    var lastPing: Duration
    var lastReceived: Duration
    var lastLingerCheck: Duration

    /// Whether this side has announced that it opens no more streams.
    var hasSentGoAway = false
    /// Whether the peer has announced the same.
    var hasReceivedGoAway = false

    var stage = Stage.header
    var headerBytes: (UInt64, UInt32) = (0, 0)
    var headerFilled = 0
    var frame = YamuxHeader(.data)
    var frameSlot = -1
    var bodyLeft = 0

    /// Creates the state of a connection that begins at `now`. The dialer's streams have odd IDs, the listener's even
    /// ones.
    init(_ role: Role, limits: YamuxLimits = YamuxLimits(), now: Duration) {
        self.role = role
        self.limits = limits
        nextID = role == .dialer ? 1 : 2
        lastPing = now
        lastReceived = now
        lastLingerCheck = now
    }

    /// The number of streams that are open in at least one direction.
    var streamCount: Int { inboundCount &+ outboundCount }

    /// Whether this side opened the stream with this ID.
    func isOwn(_ id: UInt32) -> Bool { (id & 1 == 1) == (role == .dialer) }

    // MARK: Opening and closing

    /// The outcome of opening a stream.
    enum Opening: Equatable {
        /// The stream's slot; its SYN leaves with its first frame.
        case opened(slot: Int)
        /// Too many streams wait for the peer's ACK: try again after an `acknowledged` event or the end of a stream.
        case backlogFull
        /// The limit on open streams has been reached.
        case tooMany
        /// A side has sent a go-away, or the stream IDs are used up.
        case exhausted
    }

    /// Opens a stream.
    mutating func open(now: Duration) -> Opening {
        guard !hasSentGoAway, !hasReceivedGoAway, nextID < UInt32.max &- 2 else { return .exhausted }
        guard outboundCount < limits.outboundStreams else { return .tooMany }
        guard unacknowledged < limits.unacknowledgedStreams else { return .backlogFull }
        let slot = makeSlot(id: nextID, now: now)
        nextID &+= 2
        slots[slot].announcement = .due
        unacknowledged &+= 1
        outboundCount &+= 1
        return .opened(slot: slot)
    }

    mutating func makeSlot(id: UInt32, now: Duration) -> Int {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
        } else {
            slot = slots.count
            slots.append(Slot())
        }
        slots[slot].id = id
        slots[slot].state = .open(isRead: true)
        slots[slot].epoch = now
        index[id] = slot
        return slot
    }

    mutating func free(_ slot: Int) {
        let stream = slots[slot]
        guard stream.state != .free else { return }
        index[stream.id] = nil
        if isOwn(stream.id) {
            outboundCount &-= 1
            if stream.announcement != .settled { unacknowledged &-= 1 }
        } else {
            inboundCount &-= 1
        }
        unread &-= stream.unread
        growth &-= stream.receiveMaximum &- YamuxLimits.initialWindow
        if stream.isLingering { lingering &-= 1 }
        slots[slot] = Slot()
        if streamCount == 0 {
            // An idle connection holds no memory from its busiest moment.
            slots = []
            freeSlots = []
            index = [:]
        } else {
            freeSlots.append(slot)
        }
    }

    /// Returns the flag for a stream's first frame, and no flag after that.
    mutating func opening(_ slot: Int) -> YamuxHeader.Flags {
        guard slots[slot].announcement == .due else { return [] }
        slots[slot].announcement = .sent
        cost &-= YamuxHeader.openingCost
        return .syn
    }

    /// Ends this side's bytes. Returns true if the slot is free now.
    mutating func closeWrite(_ slot: Int, now: Duration) -> Bool {
        guard slots[slot].isWritable else { return false }
        put(YamuxHeader(.windowUpdate, flags: opening(slot).union(.fin), streamID: slots[slot].id))
        switch slots[slot].state {
        case .open(isRead: true): slots[slot].state = .finished
        case .open(isRead: false): linger(slot, now: now)
        case .peerFinished:
            free(slot)
            return true
        case .free, .finished, .lingering: break
        }
        return false
    }

    /// Stops reading from the stream: further bytes are dropped and, once this side has ended its bytes, answered with
    /// a reset. Returns true if the slot is free now.
    mutating func closeRead(_ slot: Int, now: Duration) -> Bool {
        guard slots[slot].isRead else { return false }
        let dropped = slots[slot].unread
        unread &-= dropped
        slots[slot].unread = 0
        switch slots[slot].state {
        case .open: slots[slot].state = .open(isRead: false)
        case .peerFinished: slots[slot].state = .peerFinished(isRead: false)
        case .finished where dropped > 0:
            reset(slot)
            return true
        case .finished: linger(slot, now: now)
        case .free, .lingering: break
        }
        return false
    }

    private mutating func linger(_ slot: Int, now: Duration) {
        slots[slot].state = .lingering(since: now)
        if lingering == 0 { lastLingerCheck = now }
        lingering &+= 1
    }

    /// Resets the stream and frees the slot.
    mutating func reset(_ slot: Int) {
        let stream = slots[slot]
        guard stream.state != .free else { return }
        // A peer that does not know of the stream need not learn of its end.
        if stream.announcement != .due {
            put(YamuxHeader(.windowUpdate, flags: .rst, streamID: stream.id))
        }
        free(slot)
    }

    /// Announces that this side opens no more streams. Streams that the peer opens meanwhile are still accepted.
    mutating func goAway(_ code: UInt32 = 0) {
        guard !hasSentGoAway else { return }
        hasSentGoAway = true
        put(YamuxHeader(.goAway, length: code))
    }

    // MARK: Sending

    /// The number of bytes from which a data frame may cause a window update, whichever side opened the stream.
    static let answeredBody = 4_096

    /// Returns how many bytes may be sent on the stream now.
    func sendWindow(_ slot: Int) -> Int { slots[slot].isWritable ? slots[slot].sendWindow : 0 }

    /// Returns the header of a data frame with `count` bytes, which must fit `sendWindow`. Send it after `control`.
    mutating func dataHeader(_ slot: Int, count: Int) -> YamuxHeader {
        precondition(count <= slots[slot].sendWindow)
        slots[slot].sendWindow &-= count
        // Bytes sent are answered: with a window update, and on streams of this side with content.
        if count >= Self.answeredBody || isOwn(slots[slot].id) { cost &-= YamuxHeader.updateCost }
        return YamuxHeader(
            .data, flags: opening(slot), streamID: slots[slot].id, length: UInt32(truncatingIfNeeded: count))
    }

    /// Queues a control frame.
    mutating func put(_ header: YamuxHeader) {
        withUnsafeTemporaryAllocation(byteCount: YamuxHeader.size, alignment: 8) { bytes in
            header.write(to: bytes)
            control.append(contentsOf: bytes)
        }
    }

    /// Forgets the queued control frames, which have been sent.
    mutating func clearControl() {
        control.removeAll(keepingCapacity: control.count <= 256)
    }

    // MARK: Time

    /// Sends a ping to measure the round-trip time, unless one is under way.
    mutating func ping(now: Duration) {
        guard pingSent == nil else { return }
        pingValue &+= 1
        pingSent = now
        lastPing = now
        cost &-= YamuxHeader.updateCost
        put(YamuxHeader(.ping, flags: .syn, length: pingValue))
    }

    /// When to call `tick` next.
    var nextTick: Duration {
        let alive =
            pingSent.map { max($0, lastReceived) + limits.keepAliveTimeout }
            ?? lastPing + limits.keepAliveInterval
        return lingering > 0 ? min(alive, lastLingerCheck + limits.lingerTime) : alive
    }

    /// Sends a ping if due and resets lingering streams that the peer does not end. Throws `keepAliveTimeout` if the
    /// peer is silent.
    ///
    /// Calls `gone` with each slot freed.
    mutating func tick(now: Duration, gone: (Int) -> Void) throws(YamuxError) {
        if let sent = pingSent {
            if now >= max(sent, lastReceived) + limits.keepAliveTimeout { throw .keepAliveTimeout }
        } else if now >= lastPing + limits.keepAliveInterval {
            ping(now: now)
        }
        guard lingering > 0, now >= lastLingerCheck + limits.lingerTime else { return }
        lastLingerCheck = now
        for slot in slots.indices.reversed() where slot < slots.count {
            guard case .lingering(let since) = slots[slot].state, now >= since + limits.lingerTime else {
                continue
            }
            reset(slot)
            gone(slot)
        }
    }
}
