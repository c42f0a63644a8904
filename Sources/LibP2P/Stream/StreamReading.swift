import Bytes
import Reactor

extension Stream {
    /// Reads up to `limit` bytes and at least one; the result is empty only at the end of the stream.
    public func read(upTo limit: Int) async throws(LibP2PError) -> [UInt8] {
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        guard limit > 0, try await waitForBytes(1) > 0 else { return [] }
        return takeArray(min(limit, queue.count))
    }

    /// Reads the available bytes into `target` and returns their number, at least one; 0 means the end of the stream.
    ///
    /// `target` belongs to the stream until the call returns; bytes that arrive meanwhile go straight into it.
    public func read(into target: UnsafeMutableRawBufferPointer) async throws(LibP2PError) -> Int {
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        return try await fill(target, minimum: 1)
    }

    /// Fills `target`, and returns the number of bytes, which is less than its size only at the end of the stream. Of much
    /// content it costs less than `read(into:)`.
    ///
    /// `target` belongs to the stream until the call returns. If the read is cancelled or times out, the bytes that have
    /// arrived are lost.
    public func read(filling target: UnsafeMutableRawBufferPointer) async throws(LibP2PError) -> Int {
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        return try await fill(target, minimum: target.count)
    }

    /// Reads exactly `count` bytes. Throws `endOfStream` when the peer ends its side earlier.
    ///
    /// If the read is cancelled or times out, the bytes that have arrived are lost. For more than a few KiB prefer
    /// `readShared`.
    public func readExactly(_ count: Int) async throws(LibP2PError) -> [UInt8] {
        guard count <= ChunkPool.sizes.large else { return try await readShared(count).array }
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        guard try await waitForBytes(count) >= count else { throw .endOfStream }
        return takeArray(count)
    }

    /// Reads exactly `count` bytes into one block, without an intermediate copy where the transport allows. Throws
    /// `endOfStream` when the peer ends its side earlier.
    ///
    /// Reserves the block at once, but uses memory only as bytes arrive. The caller must check `count` against its
    /// limit.
    public func readShared(_ count: Int) async throws(LibP2PError) -> SharedBytes {
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        pace.begin(now: Reactor.now)
        let buffer = ByteBuffer(count: count)
        let filled = try await fill(
            UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<count]), minimum: count)
        guard filled == count else { throw .endOfStream }
        kept(pace: count)
        return buffer.freeze()
    }

    /// Does the same in pieces, which must follow each other within `idle`. Calls `progress` after each with the number
    /// of bytes read so far.
    public func readShared(
        _ count: Int, idle: Duration?, progress: @ReactorActor (Int) async -> Void
    ) async throws(LibP2PError) -> SharedBytes {
        guard count > 0 else { return SharedBytes() }
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        pace.begin(now: Reactor.now)
        let buffer = ByteBuffer(count: count)
        var filled = 0
        while filled < count {
            if let idle { setTimeout(idle) }
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[filled..<count])
            let read = try await fill(rest, minimum: 1)
            guard read > 0 else { throw .endOfStream }
            filled &+= read
            reader = .elsewhere
            await progress(filled)
            reader = .reading
        }
        kept(pace: count)
        return buffer.freeze()
    }

    /// Reads until the peer ends its side. Throws `tooLarge` if there are more than `limit` bytes.
    ///
    /// After each piece it calls `goesOn` with the number of bytes read so far. `goesOn` may suspend, which makes the
    /// peer wait; if it returns false, the read throws `cancelled`.
    public func readToEnd(
        limit: Int, goesOn: @ReactorActor (Int) async -> Bool = { _ in true }
    ) async throws(LibP2PError) -> [UInt8] {
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        pace.begin(now: Reactor.now)
        var bytes: [UInt8] = []
        while try await waitForBytes(1) > 0 {
            guard queue.count <= limit &- bytes.count else { throw .tooLarge("stream content") }
            gather(queue.count)
            if bytes.isEmpty {
                bytes = takeArray(queue.count)
            } else {
                bytes.append(contentsOf: takeArray(queue.count))
            }
            let asked = Reactor.now
            reader = .elsewhere
            let isToGoOn = await goesOn(bytes.count)
            reader = .reading
            guard isToGoOn else { throw .cancelled }
            // The peer is not to blame for time in which it had to wait.
            if Reactor.now > asked { pace.begin(now: Reactor.now) }
        }
        kept(pace: bytes.count)
        return bytes
    }

    /// Reads until the peer ends its side, into one block without a copy in between where the transport allows. Throws
    /// `tooLarge` when that is more than `limit` bytes.
    ///
    /// Only address space is reserved for `limit` bytes; memory is used as bytes come.
    public func readSharedToEnd(limit: Int) async throws(LibP2PError) -> SharedBytes {
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        pace.begin(now: Reactor.now)
        // A small content is here as a whole.
        guard try await waitForBytes(1) > 0 else { return SharedBytes() }
        let known = receiving == .finished ? queue.count : limit
        guard queue.count <= limit else { throw .tooLarge("stream content") }
        // One byte more shows that there is too much.
        let room = known < limit ? known : limit &+ 1
        guard let buffer = room < Self.reserved ? ByteBuffer(count: room) : ByteBuffer(reserving: room) else {
            throw .limitReached("\(room) bytes of address space for a stream's content")
        }
        let filled = try await fill(
            UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<room]), minimum: room)
        guard filled <= limit else { throw .tooLarge("stream content") }
        kept(pace: filled)
        return buffer.freeze(count: filled)
    }

    /// The size, in bytes, from which address space is reserved instead of memory: below, a system call costs more than
    /// the memory that it would save.
    private nonisolated static var reserved: Int { 64 << 10 }

    // MARK: Negotiation

    /// Reads the listener's answer to an offer that was sent with the stream's first bytes.
    func finishNegotiation() async throws(LibP2PError) {
        sendOffer()
        do throws(LibP2PError) {
            while case .offered(var dialer) = negotiation {
                guard try await waitForBytes(1) > 0 else { throw .endOfStream }
                let step = try consumeFront { bytes throws(LibP2PError) in
                    let step = try dialer.receive(bytes)
                    return (step, step.consumed)
                }
                negotiation = .offered(dialer)
                if !step.output.isEmpty { _ = step.output.withUnsafeBytes { connection.send(self, $0) } }
                if let selected = step.outcome {
                    if selected != protocolID { metrics = connection.host.metrics(of: selected) }
                    protocolID = selected
                    negotiation = .settled
                }
            }
        } catch {
            // After a cancelled wait, the next read continues the negotiation.
            if failure == nil, error != .cancelled { abandon(error) }
            throw error
        }
    }

    /// Negotiates one of `protocols()` with the dialer of this inbound stream. Returns nil if the stream ends first.
    func negotiateInbound(
        _ protocols: @ReactorActor () -> [ProtocolID]
    ) async throws(LibP2PError) -> ProtocolID? {
        try beginRead()
        defer { endRead() }
        var listener = MultistreamListener()
        defer { connection.mux.cost &+= listener.cost }
        while true {
            guard try await waitForBytes(1) > 0 else { return nil }
            let step = try consumeFront { bytes throws(LibP2PError) in
                let step = try listener.receive(bytes, protocols: protocols())
                return (step, step.consumed)
            }
            if let selected = step.outcome { priority = connection.host.priority(of: selected) }
            if !step.output.isEmpty { try await write(step.output) }
            if let selected = step.outcome { return selected }
        }
    }

    private func consumeFront<R>(
        _ body: (UnsafeRawBufferPointer) throws(LibP2PError) -> (R, Int)
    ) throws(LibP2PError) -> R {
        let (result, count) = try queue.withFront(body)
        queue.drop(count, pool: connection.chunks)
        connection.consumed(self, count)
        return result
    }

    // MARK: Waiting

    private func beginRead() throws(LibP2PError) {
        guard reader == .none else { throw .limitReached("one read at a time on a stream") }
        failIfLate()
        guard receiving != .closed else { throw .streamClosed }
        reader = .reading
    }

    private func endRead() {
        countReceived()
        reader = .none
        pace.end()
        releaseGathered()
    }

    /// Charges bytes to the peer until the current read has ended.
    private func gather(_ count: Int) {
        gathered &+= count
        connection.gathered &+= count
    }

    /// Notes a completed read of `count` bytes. A long one on a stream of this host's own shows that the peer is not
    /// slow.
    private func kept(pace count: Int) {
        if count >= StreamPace.exempt, !isInbound { connection.host.sendingStalls.forget(remotePeer) }
    }

    /// Releases the charge of a read that has ended or will fail.
    func releaseGathered() {
        connection.release(gathered)
        gathered = 0
    }

    /// Waits until at least `minimum` bytes are queued or the peer has ended its side, and returns the number queued.
    private func waitForBytes(_ minimum: Int) async throws(LibP2PError) -> Int {
        while queue.count < minimum, try mayCome() {
            demand = .queued(minimum)
            let isAlive = await suspend(readerWait)
            demand = .none
            guard isAlive else { throw .cancelled }
        }
        return queue.count
    }

    /// Whether the peer may still send bytes that this side reads; false after its end.
    private func mayCome() throws(LibP2PError) -> Bool {
        switch receiving {
        case .finished: return false
        case .open, .closed: if let failure { throw failure }
        }
        guard receiving == .open else { throw .streamClosed }
        return true
    }

    private func takeArray(_ count: Int) -> [UInt8] {
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { target, filled in
            filled = queue.take(
                into: UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: target[..<count])),
                pool: connection.chunks)
        }
        connection.consumed(self, bytes.count)
        return bytes
    }

    private func fill(_ target: UnsafeMutableRawBufferPointer, minimum: Int) async throws(LibP2PError) -> Int
    {
        guard target.count > 0 else { return 0 }
        var filled = queue.take(into: target, pool: connection.chunks)
        gather(filled)
        connection.consumed(self, filled)
        while filled < minimum, try mayCome() {
            demand = .placed(target, filled: filled, minimum: minimum)
            let isAlive = await suspend(readerWait)
            if case .placed(_, let count, _) = demand { filled = count }
            demand = .none
            connection.readerLeft(self)
            guard isAlive || filled >= minimum else { throw .cancelled }
        }
        return filled
    }

    // MARK: Delivery

    /// The part of the waiting reader's memory for the stream's next bytes; empty if no reader waits with memory.
    var directTarget: UnsafeMutableRawBufferPointer {
        guard queue.count == 0, case .placed(let target, let filled, _) = demand, filled < target.count else {
            return UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        return UnsafeMutableRawBufferPointer(rebasing: target[filled...])
    }

    /// Whether a reader waits with memory for more bytes than have arrived.
    var awaitsMore: Bool {
        if case .placed(_, let filled, let minimum) = demand { filled < minimum } else { false }
    }

    /// Notes that `count` bytes have been put into `directTarget`.
    func filledDirectly(_ count: Int) {
        guard case .placed(let target, let before, let minimum) = demand else { return }
        let filled = before &+ count
        demand = .placed(target, filled: filled, minimum: minimum)
        bytesReceived &+= count
        gather(count)
        if filled >= minimum { readerWait.resume() }
    }

    /// Takes bytes from the multiplexer and returns how many went straight to the reader.
    func deliver(_ bytes: UnsafeRawBufferPointer) -> Int {
        let target = directTarget
        let direct = min(target.count, bytes.count)
        if direct > 0 {
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<direct]))
            PathMeter.copied(direct)
            filledDirectly(direct)
        }
        if direct < bytes.count {
            bytesReceived &+= bytes.count &- direct
            queue.append(UnsafeRawBufferPointer(rebasing: bytes[direct...]), pool: connection.chunks)
            if case .queued(let minimum) = demand, queue.count >= minimum { readerWait.resume() }
        }
        return direct
    }

    /// Notes that the peer has ended its side.
    func peerFinished() {
        if receiving == .open { receiving = .finished }
        readerWait.resume()
    }
}
