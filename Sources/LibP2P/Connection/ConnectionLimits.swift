import Log
import Reactor

/// Limits on what a peer can make this side hold, do and wait for.
extension Connection {
    /// How long the send queue may make no progress before the connection is closed.
    nonisolated static let sendPatience: Duration = .seconds(30)
    /// The number of inbound streams' tasks waiting to run at which the socket is not read until all have run.
    nonisolated static let startingLimit = 256

    /// The units of credit from which a settlement is worth reading the clock.
    private nonisolated static let settledCost = 64

    /// Reasons not to read a socket for a while.
    struct Pauses: OptionSet {
        let rawValue: Int
        /// The peer's `MessageCredit` is used up.
        static let credit = Pauses(rawValue: 1)
        /// Too many streams that the peer opened wait to be served.
        static let streams = Pauses(rawValue: 2)
        /// The peer does not read the answers that it has requested.
        static let answers = Pauses(rawValue: 4)
    }

    // MARK: Bytes

    /// Updates the counts of bytes held for the peer and by the host: unread bytes, and bytes gathered by reads.
    func countHeld() {
        guard !isClosed else { return }
        let held = mux.unread &+ gathered
        let change = held &- countedHeld
        guard change != 0 else { return }
        countedHeld = held
        peer.held &+= change
        host.held &+= change
    }

    /// Counts bytes received for a stream and enforces the limits: by resetting the stream, or disconnecting the peer
    /// for which the most is held. Only a stream that the peer opened counts as an offence.
    func charge(_ stream: Stream) {
        countHeld()
        if peer.held > host.limits.bytesPerPeer {
            host.log.info(
                "stream reset: too many bytes held for its peer",
                [
                    "peer": .of(remotePeer), "protocol": .of(stream.protocolID),
                    "bytes": .number(peer.held), "limit": .number(host.limits.bytesPerPeer),
                ])
            stream.abandon(.limitReached("bytes held for one peer"))
            if stream.isInbound { host.report(remotePeer, .flooding) }
        }
        if host.held > host.limits.bytes { host.shedHeld() }
    }

    /// Releases bytes that a read had gathered and has returned or dropped.
    func release(_ count: Int) {
        guard count > 0 else { return }
        gathered &-= count
        countHeld()
    }

    /// Takes the connection's bytes off the counts, because it has ended.
    func dropHeld() {
        peer.held &-= countedHeld
        host.held &-= countedHeld
        countedHeld = 0
    }

    // MARK: Streams that say nothing

    /// Makes an inbound stream wait for its first bytes. Until they arrive it has no task, so that a stream reset at
    /// once leaves nothing behind.
    func awaitFirstBytes(_ stream: Stream, now: Duration) {
        stream.deadline = now + Host.negotiationTimeout
        guard silenceTimer == nil else { return }
        silenceTimer = Reactor.schedule(after: Host.negotiationTimeout) { self.endSilentStreams() }
    }

    private func endSilentStreams() {
        silenceTimer = nil
        let now = Reactor.now
        for case let stream? in streams where stream.isSilent { stream.failIfLate() }
        guard !isClosed,
            let next = streams.lazy.compactMap({ $0 }).filter(\.isSilent).compactMap(\.deadline).min()
        else { return }
        silenceTimer = Reactor.schedule(after: max(.zero, next - now)) { self.endSilentStreams() }
    }

    /// Lets the host serve a stream whose first bytes have arrived.
    func begin(_ stream: Stream) {
        stream.begin()
        startingStreams &+= 1
        host.serve(stream)
    }

    /// Notes that a stream's task has begun to run.
    func began() {
        startingStreams &-= 1
        if startingStreams == 0 { updatePauses() }
    }

    // MARK: Reading the socket

    /// Settles the cost of the last messages, and pauses or resumes reading accordingly.
    func updatePauses() {
        guard !isClosed else { return }
        var now: Pauses = []
        if startingStreams >= Self.startingLimit || (pauses.contains(.streams) && startingStreams > 0) {
            now.insert(.streams)
        }
        if mux.control.count >= mux.limits.pendingControl { now.insert(.answers) }
        if pauses.contains(.credit), creditTimer != nil {
            now.insert(.credit)
        } else if abs(mux.cost) >= Self.settledCost {
            guard let isPaused = settle() else { return }
            if isPaused { now.insert(.credit) }
        }
        guard now != pauses else { return }
        let wasPaused = !pauses.isEmpty
        pauses = now
        if now.contains(.answers) { armTick() }
        if now.isEmpty != wasPaused { return }
        if now.isEmpty { tcp.resumeReceiving() } else { tcp.pauseReceiving() }
    }

    /// Charges the cost of the last messages. Returns whether to pause reading; nil if the peer is disconnected.
    private func settle() -> Bool? {
        let cost = mux.cost
        mux.cost = 0
        switch peer.credit.spend(cost, now: Reactor.now) {
        case .granted: return false
        case .paused(let pause):
            creditTimer = Reactor.schedule(after: pause) {
                self.creditTimer = nil
                self.updatePauses()
            }
            return true
        case .flooding:
            host.endFlood(of: remotePeer)
            return nil
        }
    }

    // MARK: Sending

    /// Returns when to check the progress of the send queue next.
    func nextSendCheck() -> Duration {
        if tcp.sendProgressAt == nil { tcp.updateSendProgress() }
        return tcp.sendProgressAt.map { $0 + Self.sendPatience } ?? .seconds(Int64.max)
    }

    /// Closes the connection and returns false if the send queue has made no progress for too long. A peer that has
    /// sent something meanwhile is alive but does not read, which is reported as a stall.
    func checkSending() -> Bool {
        guard isSendingLate else { return true }
        tcp.updateSendProgress()
        guard isSendingLate, let since = tcp.sendProgressAt else { return true }
        host.log.info(
            "disconnecting a peer that does not read",
            ["peer": .of(remotePeer), "bytes": .number(tcp.queuedBytes)])
        if mux.lastReceived > since + Self.sendPatience / 2 { host.stalled(remotePeer, .reading) }
        fail(.stalled)
        return false
    }

    private var isSendingLate: Bool {
        tcp.sendProgressAt.map { Reactor.now - $0 >= Self.sendPatience } ?? false
    }
}
