/// The receiving half of the machine: a parser of bytes in arbitrary pieces, and the receive windows.
extension Yamux {
    /// Returns the next event in `input` and advances `input` past the bytes used; nil when all are used.
    ///
    /// Act on the event before the next call. After an error the connection must be closed.
    mutating func next(_ input: inout UnsafeRawBufferPointer, now: Duration) throws(YamuxError) -> Event? {
        while true {
            switch stage {
            case .header:
                guard try readHeader(&input, now: now) else { return nil }
            case .open:
                stage = .acknowledge
                if frame.flags.contains(.syn), let slot = accept(now: now) {
                    return .opened(slot: slot)
                }
            case .acknowledge:
                stage = .content
                if frame.flags.contains(.ack), let slot = currentSlot,
                    slots[slot].announcement == .sent
                {
                    slots[slot].announcement = .settled
                    unacknowledged &-= 1
                    return .acknowledged(slot: slot)
                }
            case .content:
                if frame.kind == .windowUpdate {
                    stage = .finish
                    if let slot = try enlargeSendWindow() { return .writable(slot: slot) }
                } else if bodyLeft == 0 {
                    stage = .finish
                } else {
                    guard !input.isEmpty else { return nil }
                    let count = min(bodyLeft, input.count)
                    let bytes = UnsafeRawBufferPointer(rebasing: input[..<count])
                    input = UnsafeRawBufferPointer(rebasing: input[count...])
                    if let slot = took(count) { return .data(slot: slot, bytes) }
                }
            case .finish:
                stage = .header
                if let event = try finishFrame(now: now) { return event }
            }
        }
    }

    /// The stream whose frame body comes next and the number of bytes left of it. A driver may deliver these bytes
    /// itself if it then calls `took`.
    var expectedBody: (slot: Int, count: Int)? {
        guard stage == .content, frame.kind == .data, bodyLeft > 0, let slot = currentSlot,
            slots[slot].isRead
        else { return nil }
        return (slot, bodyLeft)
    }

    /// Gives back the window of `count` bytes that the stream's reader has taken.
    mutating func consumed(_ slot: Int, _ count: Int, now: Duration) {
        guard count > 0, slots[slot].isRead else { return }
        slots[slot].unread &-= count
        unread &-= count
        guard !slots[slot].isPeerFinished else { return }
        var maximum = slots[slot].receiveMaximum
        guard maximum &- slots[slot].unread &- slots[slot].receiveWindow >= maximum / 2 else { return }
        // For a reader that empties half a window within a few round trips, the window is the bottleneck.
        if let roundTrip, now - slots[slot].epoch < roundTrip * 4 {
            let larger = min(maximum &* 2, limits.maximumWindow)
            if larger > maximum, growth &+ (larger &- maximum) <= limits.windowGrowth {
                growth &+= larger &- maximum
                maximum = larger
                slots[slot].receiveMaximum = larger
            }
        }
        slots[slot].epoch = now
        let delta = maximum &- slots[slot].unread &- slots[slot].receiveWindow
        slots[slot].receiveWindow &+= delta
        put(
            YamuxHeader(
                .windowUpdate, flags: opening(slot), streamID: slots[slot].id,
                length: UInt32(truncatingIfNeeded: delta)))
    }

    /// The slot of the frame being read, unless its stream has ended since.
    private var currentSlot: Int? {
        guard frameSlot >= 0, frameSlot < slots.count, slots[frameSlot].id == frame.streamID else {
            return nil
        }
        return frameSlot
    }

    /// Returns true once a complete header has been read and checked.
    private mutating func readHeader(
        _ input: inout UnsafeRawBufferPointer, now: Duration
    ) throws(YamuxError) -> Bool {
        guard !input.isEmpty else { return false }
        lastReceived = now
        let header: YamuxHeader
        if headerFilled == 0, input.count >= YamuxHeader.size {
            header = try YamuxHeader(input)
            input = UnsafeRawBufferPointer(rebasing: input[YamuxHeader.size...])
        } else {
            let count = min(YamuxHeader.size &- headerFilled, input.count)
            let part = input[..<count]
            let filled = headerFilled
            headerFilled &+= count
            let complete = headerFilled == YamuxHeader.size
            var parsed: YamuxHeader?
            try withUnsafeMutableBytes(of: &headerBytes) { bytes throws(YamuxError) in
                bytes[filled...].copyBytes(from: part)
                if complete { parsed = try YamuxHeader(UnsafeRawBufferPointer(bytes)) }
            }
            input = UnsafeRawBufferPointer(rebasing: input[count...])
            guard let parsed else { return false }
            header = parsed
            headerFilled = 0
        }
        frame = header
        cost &+= header.cost
        frameSlot = -1
        bodyLeft = header.kind == .data ? Int(header.length) : 0
        switch header.kind {
        case .data, .windowUpdate:
            try checkStream()
            stage = .open
        case .ping, .goAway:
            stage = .finish
        }
        return true
    }

    private mutating func checkStream() throws(YamuxError) {
        let id = frame.streamID
        if let slot = index[id] {
            guard !frame.flags.contains(.syn) else { throw .duplicateStream(id) }
            frameSlot = slot
            guard bodyLeft <= slots[slot].receiveWindow else { throw .windowExceeded(id) }
            guard bodyLeft == 0 || !slots[slot].isPeerFinished else { throw .dataAfterFinish(id) }
        } else if frame.flags.contains(.syn) {
            guard !isOwn(id) else { throw .badStreamID(id) }
            guard bodyLeft <= YamuxLimits.initialWindow else { throw .windowExceeded(id) }
        } else {
            // Late frames of an ended stream are dropped; frames of a stream that never existed are an error.
            guard isOwn(id) ? id < nextID : id <= highestPeerID else { throw .unknownStream(id) }
            guard bodyLeft <= limits.maximumWindow else { throw .windowExceeded(id) }
        }
    }

    private mutating func accept(now: Duration) -> Int? {
        let id = frame.streamID
        highestPeerID = max(highestPeerID, id)
        guard !frame.flags.contains(.rst) else { return nil }
        guard inboundCount < limits.inboundStreams else {
            put(YamuxHeader(.windowUpdate, flags: .rst, streamID: id))
            return nil
        }
        let slot = makeSlot(id: id, now: now)
        inboundCount &+= 1
        frameSlot = slot
        put(YamuxHeader(.windowUpdate, flags: .ack, streamID: id))
        return slot
    }

    /// Returns the slot if its send window was empty before.
    private mutating func enlargeSendWindow() throws(YamuxError) -> Int? {
        guard frame.length > 0, let slot = currentSlot else { return nil }
        let window = slots[slot].sendWindow
        guard window &+ Int(frame.length) <= Int(UInt32.max) else { throw .windowOverflow(frame.streamID) }
        slots[slot].sendWindow = window &+ Int(frame.length)
        return window == 0 ? slot : nil
    }

    /// The cost of bytes that are dropped.
    private static func wasted(_ bytes: Int) -> Int { bytes >> 10 }

    /// Accounts for body bytes that are being delivered; `consumed` must still be called for them. Returns the slot if its
    /// stream is read.
    @discardableResult
    mutating func took(_ count: Int) -> Int? {
        bodyLeft &-= count
        guard let slot = currentSlot else {
            cost &+= Self.wasted(count)
            return nil
        }
        slots[slot].receiveWindow &-= count
        guard slots[slot].isRead else {
            cost &+= Self.wasted(count)
            return nil
        }
        slots[slot].unread &+= count
        unread &+= count
        return slot
    }

    /// Handles the rest of a frame once its body has been read: pings, go-aways and the flags that end a stream.
    private mutating func finishFrame(now: Duration) throws(YamuxError) -> Event? {
        switch frame.kind {
        case .ping:
            if frame.flags == .syn {
                put(YamuxHeader(.ping, flags: .ack, length: frame.length))
                return nil
            }
            guard let sent = pingSent, frame.length == pingValue else { return nil }
            pingSent = nil
            roundTrip = roundTrip.map { ($0 + now - sent) / 2 } ?? now - sent
            return .pong
        case .goAway:
            hasReceivedGoAway = true
            return .goAway(frame.length)
        case .data, .windowUpdate:
            guard let slot = currentSlot else { return nil }
            if frame.flags.contains(.rst) {
                cost &+= Self.wasted(slots[slot].unread)
                free(slot)
                return .reset(slot: slot)
            }
            if frame.flags.contains(.fin), let gone = peerFinished(slot) {
                return .finished(slot: slot, gone: gone)
            }
            if frame.kind == .data, frame.length > 0, slots[slot].isLingering {
                // These bytes will never be read: tell the peer to stop.
                reset(slot)
                return .reset(slot: slot)
            }
            return nil
        }
    }

    /// Handles the peer's FIN. Returns whether the slot is free now, or nil for a repeated FIN.
    private mutating func peerFinished(_ slot: Int) -> Bool? {
        switch slots[slot].state {
        case .open(let isRead):
            slots[slot].state = .peerFinished(isRead: isRead)
            return false
        case .finished, .lingering:
            free(slot)
            return true
        case .free, .peerFinished: return nil
        }
    }
}
