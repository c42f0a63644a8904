import Bytes
import Reactor

extension Stream {
    /// Reads at most `limit` bytes, at least one unless the stream has ended, where the result is empty.
    public func read(upTo limit: Int) async throws(LibP2PError) -> [UInt8] {
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        guard limit > 0, try await waitForBytes(1) > 0 else { return [] }
        return takeArray(min(limit, queue.count))
    }

    /// Reads into `target` what is there, at least one byte unless the stream has ended, where the result is 0.
    ///
    /// `target` belongs to the stream until the call returns; bytes that arrive meanwhile go straight into it.
    public func read(into target: UnsafeMutableRawBufferPointer) async throws(LibP2PError) -> Int {
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        return try await fill(target, minimum: 1)
    }

    /// Reads exactly `count` bytes. Throws `endOfStream` when the peer ends its side earlier.
    ///
    /// When cancelled or late, the bytes that had come are lost. For more than some KiB prefer `readShared`.
    public func readExactly(_ count: Int) async throws(LibP2PError) -> [UInt8] {
        guard count <= ChunkPool.sizes.large else { return try await readShared(count).array }
        try beginRead()
        defer { endRead() }
        try await finishNegotiation()
        guard try await waitForBytes(count) >= count else { throw .endOfStream }
        return takeArray(count)
    }

    /// Reads exactly `count` bytes into one block, without a copy in between where the transport allows. Throws
    /// `endOfStream` when the peer ends its side earlier.
    ///
    /// The block is reserved at once; memory is used as bytes come. The caller checks `count` against its limit.
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

    /// The same in pieces, no two of which may be further apart than `idle`. `progress` is told after each how many bytes
    /// are here.
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

    /// Reads until the peer ends its side. Throws `tooLarge` when that is more than `limit` bytes.
    ///
    /// Before it reads on, `goesOn` is asked with the number of bytes that are here, and may keep the peer waiting; the
    /// read throws `cancelled` when it says no.
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
            // The peer is not to blame for what it was kept waiting.
            if Reactor.now > asked { pace.begin(now: Reactor.now) }
        }
        kept(pace: bytes.count)
        return bytes
    }

    // MARK: Negotiation

    /// Reads the listener's answer to an offer that was sent together with the stream's first bytes.
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
                if let selected = step.selected {
                    protocolID = selected
                    negotiation = .settled
                }
            }
        } catch {
            // A cancelled wait leaves the negotiation where it stands, for the next read.
            if failure == nil, error != .cancelled { abandon(error) }
            throw error
        }
    }

    /// Lets the dialer choose one of `protocols()` for this inbound stream; nil when it ended without.
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
            if !step.output.isEmpty { try await write(step.output) }
            if let selected = step.selected { return selected }
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
        reader = .none
        pace.end()
        releaseGathered()
    }

    /// Charges bytes that the read under way takes to the peer, until it is done.
    private func gather(_ count: Int) {
        gathered &+= count
        connection.gathered &+= count
    }

    /// A read of so many bytes is done: a long one that this host has asked for shows that the peer is not slow.
    private func kept(pace count: Int) {
        if count >= StreamPace.exempt, !isInbound { connection.host.sendingStalls.forget(remotePeer) }
    }

    /// The read is done, or will fail.
    func releaseGathered() {
        connection.release(gathered)
        gathered = 0
    }

    /// Waits until at least `minimum` bytes are in the queue or the peer has ended; the number in the queue.
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
            guard isAlive || filled >= minimum else { throw .cancelled }
        }
        return filled
    }

    // MARK: Delivery

    /// The part of the waiting reader's memory where the stream's next bytes belong.
    var directTarget: UnsafeMutableRawBufferPointer {
        guard queue.count == 0, case .placed(let target, let filled, _) = demand, filled < target.count else {
            return UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        return UnsafeMutableRawBufferPointer(rebasing: target[filled...])
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

    /// Takes bytes from the multiplexer; returns how many went straight to the reader.
    func deliver(_ bytes: UnsafeRawBufferPointer) -> Int {
        let target = directTarget
        let direct = min(target.count, bytes.count)
        if direct > 0 {
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<direct]))
            filledDirectly(direct)
        }
        if direct < bytes.count {
            bytesReceived &+= bytes.count &- direct
            queue.append(UnsafeRawBufferPointer(rebasing: bytes[direct...]), pool: connection.chunks)
            if case .queued(let minimum) = demand, queue.count >= minimum { readerWait.resume() }
        }
        return direct
    }

    /// The peer has ended its side.
    func peerFinished() {
        if receiving == .open { receiving = .finished }
        readerWait.resume()
    }
}
