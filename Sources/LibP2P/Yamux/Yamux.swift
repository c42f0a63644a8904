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

    /// One stream's state; ID 0 marks a free slot.
    struct Slot {
        var id: UInt32 = 0
        var sendWindow = YamuxLimits.initialWindow
        var receiveWindow = YamuxLimits.initialWindow
        var receiveMaximum = YamuxLimits.initialWindow
        var unread = 0
        var epoch: Duration = .zero
        var closedAt: Duration = .zero
        var mustSendSYN = false
        var awaitsACK = false
        var localFinished = false
        var remoteFinished = false
        var readClosed = false
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
        slots[slot].mustSendSYN = true
        slots[slot].awaitsACK = true
        unacknowledged &+= 1
        outboundCount &+= 1
        return .opened(slot: slot)
    }

    mutating func makeSlot(id: UInt32, now: Duration) -> Int {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            slots[slot] = Slot()
        } else {
            slot = slots.count
            slots.append(Slot())
        }
        slots[slot].id = id
        slots[slot].epoch = now
        index[id] = slot
        return slot
    }

    mutating func free(_ slot: Int) {
        let state = slots[slot]
        guard state.id != 0 else { return }
        index[state.id] = nil
        if isOwn(state.id) {
            outboundCount &-= 1
            if state.awaitsACK { unacknowledged &-= 1 }
        } else {
            inboundCount &-= 1
        }
        unread &-= state.unread
        growth &-= state.receiveMaximum &- YamuxLimits.initialWindow
        if isLingering(state) { lingering &-= 1 }
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
        guard slots[slot].mustSendSYN else { return [] }
        slots[slot].mustSendSYN = false
        cost &-= YamuxHeader.openingCost
        return .syn
    }

    /// Sends a SYN that has not left with a data frame, so that the peer knows of the stream.
    mutating func announce(_ slot: Int) {
        let flags = opening(slot)
        if !flags.isEmpty { put(YamuxHeader(.windowUpdate, flags: flags, streamID: slots[slot].id)) }
    }

    /// Says that this side sends no more on the stream. True when the slot is free now.
    mutating func closeWrite(_ slot: Int, now: Duration) -> Bool {
        guard !slots[slot].localFinished else { return false }
        let flags = opening(slot).union(.fin)
        slots[slot].localFinished = true
        put(YamuxHeader(.windowUpdate, flags: flags, streamID: slots[slot].id))
        return freeOrLinger(slot, now: now)
    }

    /// Says that nothing more will be read from the stream: what still comes is dropped, and once this side has
    /// finished writing, answered by a reset. True when the slot is free now.
    mutating func closeRead(_ slot: Int, now: Duration) -> Bool {
        guard !slots[slot].readClosed else { return false }
        slots[slot].readClosed = true
        let dropped = slots[slot].unread
        unread &-= dropped
        slots[slot].unread = 0
        if dropped > 0, slots[slot].localFinished, !slots[slot].remoteFinished {
            reset(slot)
            return true
        }
        return freeOrLinger(slot, now: now)
    }

    private mutating func freeOrLinger(_ slot: Int, now: Duration) -> Bool {
        guard slots[slot].localFinished else { return false }
        if slots[slot].remoteFinished {
            free(slot)
            return true
        }
        if slots[slot].readClosed {
            slots[slot].closedAt = now
            if lingering == 0 { lastLingerCheck = now }
            lingering &+= 1
        }
        return false
    }

    func isLingering(_ state: Slot) -> Bool {
        state.localFinished && state.readClosed && !state.remoteFinished
    }

    /// Ends the stream in both directions at once. The slot is free now.
    mutating func reset(_ slot: Int) {
        let state = slots[slot]
        guard state.id != 0 else { return }
        // A peer that has not heard of the stream need not hear of its end.
        if !state.mustSendSYN {
            put(YamuxHeader(.windowUpdate, flags: .rst, streamID: state.id))
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
    func sendWindow(_ slot: Int) -> Int { slots[slot].localFinished ? 0 : slots[slot].sendWindow }

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
            let state = slots[slot]
            if state.id != 0, isLingering(state), now >= state.closedAt + limits.lingerTime {
                reset(slot)
                gone(slot)
            }
        }
    }
}
