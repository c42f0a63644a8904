import Bytes
import Reactor

/// The sending path: frames are made, encrypted and queued in one step. When the queue is full, streams of high priority go
/// first, and those of one priority take turns.
extension Connection {
    /// The number of queued bytes up to which streams of high priority may send: twice what the others may queue, so that the
    /// others never leave a vote without room.
    static var urgentWater: Int { 2 * TCPConnection.highWater }
    /// The longest body of a data frame, in bytes: it fits one Noise message, so that the other side can decrypt it
    /// straight into the reader's memory, and does not delay other streams for long.
    static var largestBody: Int { NoiseTransport.maximumPlaintext }
    /// The size, in bytes, up to which a body is copied after its header and encrypted with it. For longer bodies, a
    /// separate message for the header costs less than the copy.
    static var inlineBody: Int { 2048 }

    /// Sends as much of `bytes` as the stream's window and the send queue allow, and returns the number of bytes.
    func send(_ stream: Stream, _ bytes: UnsafeRawBufferPointer) -> Int {
        guard isFirst(stream.priority) else { return 0 }
        var offset = 0
        while offset < bytes.count, hasRoom(stream.priority), sendWindow(stream) > 0 {
            offset &+= sendFrame(stream, UnsafeRawBufferPointer(rebasing: bytes[offset...]))
        }
        return offset
    }

    /// Sends the first bytes of a stream, even if the send queue is full. Its window has room for them.
    func sendFirst(_ stream: Stream, _ bytes: UnsafeRawBufferPointer) {
        guard sendWindow(stream) >= bytes.count else { return }
        _ = sendFrame(stream, bytes)
    }

    /// Returns how many bytes the stream may send now.
    func sendWindow(_ stream: Stream) -> Int {
        guard let slot = stream.slot, !isClosed else { return 0 }
        return mux.sendWindow(slot)
    }

    /// Sends one frame from the start of `bytes` and returns the number of bytes sent.
    func sendFrame(_ stream: Stream, _ bytes: UnsafeRawBufferPointer) -> Int {
        let count = min(bytes.count, sendWindow(stream), Self.largestBody)
        guard count > 0 else { return 0 }
        flushControl(evenIfFull: true)
        guard let slot = stream.slot, !isClosed else { return 0 }
        let header = mux.dataHeader(slot, count: count)
        let body = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        do {
            try put(header, body)
        } catch {
            fail(error)
        }
        if tcp.isAboveHighWater { armTick() }
        return count
    }

    private func put(_ header: YamuxHeader, _ body: UnsafeRawBufferPointer) throws(LibP2PError) {
        let headerSize = YamuxHeader.size
        guard let noise else {
            let room = tcp.reserve(headerSize &+ body.count)
            header.write(to: room)
            UnsafeMutableRawBufferPointer(rebasing: room[headerSize...]).copyMemory(from: body)
            tcp.commit(headerSize &+ body.count)
            return
        }
        let overhead = NoiseTransport.overhead
        let room = tcp.reserve(headerSize &+ body.count &+ 2 &* overhead)
        // The cipher writes after the length, so plaintext placed there is encrypted in place.
        let inner = UnsafeMutableRawBufferPointer(rebasing: room[NoiseTransport.lengthBytes...])
        header.write(to: inner)
        if body.count <= Self.inlineBody {
            UnsafeMutableRawBufferPointer(rebasing: inner[headerSize...]).copyMemory(from: body)
            PathMeter.copied(body.count)
            let message = UnsafeRawBufferPointer(rebasing: inner[..<(headerSize &+ body.count)])
            tcp.commit(try noise.seal(message, into: room))
        } else {
            let first = try noise.seal(UnsafeRawBufferPointer(rebasing: inner[..<headerSize]), into: room)
            let second = try noise.seal(body, into: UnsafeMutableRawBufferPointer(rebasing: room[first...]))
            tcp.commit(first &+ second)
        }
    }

    /// Sends the queued control frames, unless the send queue is full: then they wait, so that a peer that requests
    /// answers and does not read them is noticed.
    func flushControl(evenIfFull: Bool = false) {
        guard !mux.control.isEmpty, !isClosed, evenIfFull || !tcp.isAboveHighWater else { return }
        var offset = 0
        var failure: LibP2PError?
        mux.control.withUnsafeBytes { bytes in
            while offset < bytes.count, failure == nil {
                let piece = UnsafeRawBufferPointer(rebasing: bytes[offset...].prefix(Self.largestBody))
                offset &+= piece.count
                guard let noise else {
                    tcp.send(piece)
                    continue
                }
                let room = tcp.reserve(piece.count &+ NoiseTransport.overhead)
                do throws(LibP2PError) {
                    tcp.commit(try noise.seal(piece, into: room))
                } catch {
                    failure = error
                }
            }
        }
        mux.clearControl()
        if let failure { fail(failure) }
    }

    // MARK: Taking turns

    /// Adds the stream to its line if it has bytes to send and window for them, and sends what fits at once.
    func enterLine(_ stream: Stream) {
        guard !stream.isInLine, stream.isBlocked, sendWindow(stream) > 0 else { return }
        append(stream)
        serveLines()
    }

    private func append(_ stream: Stream) {
        switch stream.priority {
        case .high: urgentLine.append(stream)
        case .low: line.append(stream)
        }
    }

    /// Sends one frame of each stream in turn, those of high priority first, until the send queue is full.
    func serveLines() {
        while let stream = takeNext() {
            if stream.sendTurn() { append(stream) }
        }
    }

    private func takeNext() -> Stream? {
        if !urgentLine.isEmpty { return hasRoom(.high) ? urgentLine.popFirst() : nil }
        return hasRoom(.low) ? line.popFirst() : nil
    }

    /// Whether no stream of this or a higher priority waits.
    private func isFirst(_ priority: StreamPriority) -> Bool {
        urgentLine.isEmpty && (priority == .high || line.isEmpty)
    }

    /// Whether the send queue has room for a frame of a stream of this priority.
    private func hasRoom(_ priority: StreamPriority) -> Bool {
        switch priority {
        case .high: tcp.queuedBytes <= Self.urgentWater
        case .low: !tcp.isAboveHighWater
        }
    }

    /// Removes a stream that has ended from its line.
    func leaveLine(_ stream: Stream) {
        guard stream.isInLine else { return }
        switch stream.priority {
        case .high: urgentLine.remove(stream)
        case .low: line.remove(stream)
        }
    }
}
