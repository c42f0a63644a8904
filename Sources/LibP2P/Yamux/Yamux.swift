/// The yamux multiplexer of one connection, without I/O: many streams with flow control over one byte stream.
///
/// Yamux specification (hashicorp/yamux, spec.md) and the libp2p yamux profile; windows grow with the round-trip
/// time as in go-yamux. A machine: `next` turns received bytes into events, `dataHeader` turns what is to be sent
/// into frames, everything else that has to be said collects in `control`.
///
/// A stream is named by its slot, a small number that its owner keeps until the machine says that it is gone.
/// Memory is bounded by `YamuxLimits`: the owner must hold at most what `unread` counts, which never exceeds the
/// sum of the windows.
struct Yamux {
    enum Role: Sendable { case dialer, listener }

    /// What received bytes mean. Pointers are into the bytes given to `next`.
    enum Event {
        /// The peer opened a stream.
        case opened(slot: Int)
        /// Bytes of a stream, to be delivered or dropped; `consumed` gives their window back.
        case data(slot: Int, UnsafeRawBufferPointer)
        /// The peer sends no more on this stream. `gone` when the slot is free now.
        case finished(slot: Int, gone: Bool)
        /// The peer reset the stream; the slot is free now.
        case reset(slot: Int)
        /// A stream that had no send window has some.
        case writable(slot: Int)
        /// The peer took a stream that this side opened: there is room in the backlog.
        case acknowledged(slot: Int)
        /// An answer to a ping of this side came.
        case pong
        /// The peer takes and opens no more streams; the code is its reason.
        case goAway(UInt32)
    }

    /// One stream.
    struct Slot {
        /// How far the stream has come to its end. A stream that both sides have ended has no slot.
        enum State: Equatable {
            /// There is no stream.
            case free
            /// Neither side has ended its bytes. `isRead`: whether this side still wants the peer's.
            case open(isRead: Bool)
            /// Only the peer has ended its bytes.
            case peerFinished(isRead: Bool)
            /// Only this side has ended its bytes, and it reads the peer's.
            case finished
            /// This side has ended its bytes, reads no more, and has been waiting for the peer's end since then.
            case lingering(since: Duration)
        }

        /// How far the announcement of the stream has come.
        enum Announcement {
            /// SYN leaves with the stream's first frame.
            case due
            /// SYN has left, the peer's ACK has not come.
            case sent
            /// The peer knows the stream, having acknowledged or opened it.
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

        /// Whether this side wants the bytes that the peer sends.
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

    /// Where the parser stands within a frame: the steps in which a header's meaning is reported.
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

    /// Bytes delivered by `data` events and not given back by `consumed`, over all streams.
    var unread = 0
    /// Control frames that wait to be sent, in order and before any data frame made later.
    var control: [UInt8] = []
    /// What the frames taken cost, less what those sent ask for; the owner sets it back to zero (`MessageCredit`).
    var cost = 0

    /// Smoothed round-trip time; nil until the first ping has come back.
    var roundTrip: Duration?
    /// The last ping's answer took this long.
    var lastRoundTrip: Duration?
    var pingValue: UInt32 = 0
    var pingSent: Duration?
    var lastPing: Duration
    var lastReceived: Duration
    var lastLingerCheck: Duration

    /// Whether this side has said that it opens and takes no more streams.
    var hasSentGoAway = false
    /// Whether the peer has said so.
    var hasReceivedGoAway = false

    var stage = Stage.header
    var headerBytes: (UInt64, UInt32) = (0, 0)
    var headerFilled = 0
    var frame = YamuxHeader(.data)
    var frameSlot = -1
    var bodyLeft = 0

    /// A connection that begins at `now`; the dialer opens streams with odd numbers, the listener with even ones.
    init(_ role: Role, limits: YamuxLimits = YamuxLimits(), now: Duration) {
        self.role = role
        self.limits = limits
        nextID = role == .dialer ? 1 : 2
        lastPing = now
        lastReceived = now
        lastLingerCheck = now
    }

    /// Number of streams that are open in at least one direction.
    var streamCount: Int { inboundCount &+ outboundCount }

    /// Whether this side opened the stream with this ID.
    func isOwn(_ id: UInt32) -> Bool { (id & 1 == 1) == (role == .dialer) }

    // MARK: Opening and closing

    /// Whether another stream can be opened.
    enum Opening: Equatable {
        /// The stream's slot; its SYN leaves with its first frame.
        case opened(slot: Int)
        /// Too many streams wait for the peer's ACK: try again after an `acknowledged` event or a stream's end.
        case backlogFull
        /// As many streams as the limit allows are open.
        case tooMany
        /// One of the sides takes no more streams on this connection, or it has used up its numbers.
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
            // An idle connection keeps no memory of the busiest moment it had.
            slots = []
            freeSlots = []
            index = [:]
        } else {
            freeSlots.append(slot)
        }
    }

    /// The flag that a stream's first frame carries; nothing once it has left.
    mutating func opening(_ slot: Int) -> YamuxHeader.Flags {
        guard slots[slot].announcement == .due else { return [] }
        slots[slot].announcement = .sent
        cost &-= YamuxHeader.openingCost
        return .syn
    }

    /// Sends a SYN that has not left with a data frame, so that the peer knows of the stream.
    mutating func announce(_ slot: Int) {
        let flags = opening(slot)
        if !flags.isEmpty { put(YamuxHeader(.windowUpdate, flags: flags, streamID: slots[slot].id)) }
    }

    /// Says that this side sends no more on the stream. True if the slot is free now.
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

    /// Says that nothing more will be read from the stream: what still comes is dropped and, once this side has ended its
    /// bytes, answered by a reset. True if the slot is free now.
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

    /// Ends the stream in both directions at once. The slot is free now.
    mutating func reset(_ slot: Int) {
        let stream = slots[slot]
        guard stream.state != .free else { return }
        // A peer that has not heard of the stream need not hear of its end.
        if stream.announcement != .due {
            put(YamuxHeader(.windowUpdate, flags: .rst, streamID: stream.id))
        }
        free(slot)
    }

    /// Says that this side opens no more streams; those that the peer opens before it has heard are still taken.
    mutating func goAway(_ code: UInt32 = 0) {
        guard !hasSentGoAway else { return }
        hasSentGoAway = true
        put(YamuxHeader(.goAway, length: code))
    }

    // MARK: Sending

    /// Bytes of a data frame from which one update of the window may answer it, whoever opened the stream.
    static let answeredBody = 4_096

    /// How many bytes may be sent on the stream now.
    func sendWindow(_ slot: Int) -> Int { slots[slot].isWritable ? slots[slot].sendWindow : 0 }

    /// The header of a data frame with `count` bytes, which must be within `sendWindow`; it leaves after `control`.
    mutating func dataHeader(_ slot: Int, count: Int) -> YamuxHeader {
        precondition(count <= slots[slot].sendWindow)
        slots[slot].sendWindow &-= count
        // What is sent is answered: with a window update, and on streams of this side with content.
        if count >= Self.answeredBody || isOwn(slots[slot].id) { cost &-= YamuxHeader.updateCost }
        return YamuxHeader(
            .data, flags: opening(slot), streamID: slots[slot].id, length: UInt32(truncatingIfNeeded: count))
    }

    /// Adds a control frame to those that wait.
    mutating func put(_ header: YamuxHeader) {
        withUnsafeTemporaryAllocation(byteCount: YamuxHeader.size, alignment: 8) { bytes in
            header.write(to: bytes)
            control.append(contentsOf: bytes)
        }
    }

    /// Forgets the waiting control frames, which have been sent.
    mutating func clearControl() {
        control.removeAll(keepingCapacity: control.count <= 256)
    }

    // MARK: Time

    /// Sends a ping and measures how long the answer takes. Only one is under way at a time.
    mutating func ping(now: Duration) {
        guard pingSent == nil else { return }
        pingValue &+= 1
        pingSent = now
        lastPing = now
        cost &-= YamuxHeader.updateCost
        put(YamuxHeader(.ping, flags: .syn, length: pingValue))
    }

    /// When `tick` wants to be called next.
    var nextTick: Duration {
        let alive =
            pingSent.map { max($0, lastReceived) + limits.keepAliveTimeout }
            ?? lastPing + limits.keepAliveInterval
        return lingering > 0 ? min(alive, lastLingerCheck + limits.lingerTime) : alive
    }

    /// Does what is due: pings, gives up a silent peer, resets streams whose peer does not end them.
    ///
    /// `gone` is called with each slot that was freed.
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
