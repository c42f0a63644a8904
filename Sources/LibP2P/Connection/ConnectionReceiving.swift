import Bytes
import Reactor

/// The receiving path: decrypted bytes are demultiplexed and delivered, straight into a waiting reader's memory where
/// possible.
extension Connection {
    /// Returns the reader's memory for a message of `count` plaintext bytes, if it is part of a frame's body that a
    /// reader waits for. A reader that has enough is about to leave, and gets no message that has not arrived whole.
    func directTarget(_ count: Int, isWhole: Bool) -> UnsafeMutableRawBufferPointer? {
        // Earlier messages of the same read may have closed the connection, and all its streams.
        guard !isClosed, count > Self.inlineBody, let (slot, left) = mux.expectedBody, left >= count,
            slot < streams.count, let stream = streams[slot], isWhole || stream.awaitsMore
        else { return nil }
        let target = stream.directTarget
        guard target.count >= count else { return nil }
        direct = stream
        return UnsafeMutableRawBufferPointer(rebasing: target[..<count])
    }

    /// Notes that a stream's reader no longer waits with its memory.
    func readerLeft(_ stream: Stream) {
        guard direct === stream else { return }
        direct = nil
        noise?.leavePlace()
    }

    func receivedPlaintext(_ bytes: UnsafeRawBufferPointer) {
        isReceiving = true
        do throws(LibP2PError) {
            try demultiplex(bytes)
        } catch {
            isReceiving = false
            return fail(error)
        }
        endReceiving()
    }

    func endReceiving() {
        isReceiving = false
        guard !isClosed else { return }
        flushControl()
        updatePauses()
        closeIfDrained()
    }

    func demultiplex(_ bytes: UnsafeRawBufferPointer) throws(LibP2PError) {
        var input = bytes
        let now = Reactor.now
        do throws(YamuxError) {
            while !isClosed, let event = try mux.next(&input, now: now) {
                handle(event, now: now)
            }
        } catch {
            mux.goAway(YamuxHeader.protocolViolation)
            flushControl()
            host.report(remotePeer, .malformed)
            throw .multiplexer(error.description)
        }
    }

    func handle(_ event: Yamux.Event, now: Duration) {
        switch event {
        case .data(let slot, let bytes):
            guard let stream = streams[slot] else { return }
            mux.consumed(slot, stream.deliver(bytes), now: now)
            charge(stream)
            if stream.isSilent { begin(stream) }
        case .opened(let slot):
            guard peer.connections.reduce(0, { $0 &+ $1.mux.inboundCount }) <= host.limits.streamsPerPeer
            else {
                return mux.reset(slot)
            }
            let stream = Stream(self, slot: slot, isInbound: true)
            attach(stream, slot)
            awaitFirstBytes(stream, now: now)
        case .finished(let slot, let isGone):
            guard let stream = streams[slot] else { return }
            stream.peerFinished()
            if isGone { gone(stream, slot) } else if stream.isSilent { stream.abandon(.endOfStream) }
        case .reset(let slot):
            guard let stream = streams[slot] else { return }
            stream.fail(.streamReset)
            detach(slot)
        case .writable(let slot):
            guard let stream = streams[slot] else { return }
            enterLine(stream)
        case .acknowledged:
            openers.wakeFirst()
        case .pong:
            break
        case .goAway:
            beginDraining(.peerClosed)
        }
    }
}
