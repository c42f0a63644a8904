import Log
import Reactor

/// What the peer may make this side hold, do and wait for.
extension Connection {
    /// How long the send queue may stand still while the peer is alive.
    nonisolated static let sendPatience: Duration = .seconds(30)
    /// Tasks of inbound streams that may wait to run. Beyond, the socket is not read until they have run.
    nonisolated static let startingLimit = 256

    /// Units of credit from which a settlement is worth a look at the clock.
    private nonisolated static let settledCost = 64

    /// Why a socket is not read for a while.
    struct Pauses: OptionSet {
        let rawValue: Int
        /// The peer has used up its `MessageCredit`.
        static let credit = Pauses(rawValue: 1)
        /// Many streams that it has opened have not been looked at.
        static let streams = Pauses(rawValue: 2)
        /// It does not take the answers that it has asked for.
        static let answers = Pauses(rawValue: 4)
    }

    // MARK: Bytes

    /// Brings the counts of bytes held for the peer and by the host up to date: those that nobody has read, and those
    /// that reads have gathered.
    func countHeld() {
        guard !isClosed else { return }
        let held = mux.unread &+ gathered
        let change = held &- countedHeld
        guard change != 0 else { return }
        countedHeld = held
        peer.held &+= change
        host.held &+= change
    }

    /// Counts what has come for a stream, and ends what goes beyond the limits: the stream, or the peer that holds the
    /// most. What a read of this side's has asked for and does not fit is no offence.
    func charge(_ stream: Stream) {
        countHeld()
        if peer.held > host.limits.bytesPerPeer {
            host.log.info(
                "stream reset: too many bytes are held for its peer",
                [
                    "peer": .of(remotePeer), "protocol": .of(stream.protocolID),
                    "bytes": .number(peer.held), "limit": .number(host.limits.bytesPerPeer),
                ])
            stream.abandon(.limitReached("bytes held for one peer"))
            if stream.isInbound { host.report(remotePeer, .flooding) }
        }
        if host.held > host.limits.bytes { host.shedHeld() }
    }

    /// A read has handed over or given up what it had gathered.
    func release(_ count: Int) {
        guard count > 0 else { return }
        gathered &-= count
        countHeld()
    }

    /// The connection's end: nothing is held for it any more.
    func dropHeld() {
        peer.held &-= countedHeld
        host.held &-= countedHeld
        countedHeld = 0
    }

    // MARK: Streams that say nothing

    /// Lets an inbound stream wait for its first bytes. Until they come it has no task, so that one that is reset at once
    /// leaves nothing behind.
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

    /// Has the host serve a stream whose first bytes have come.
    func begin(_ stream: Stream) {
        stream.begin()
        startingStreams &+= 1
        host.serve(stream)
    }

    /// A stream's task has begun to run.
    func began() {
        startingStreams &-= 1
        if startingStreams == 0 { updatePauses() }
    }

    // MARK: Reading the socket

    /// Settles what the last messages have cost, and stops or resumes reading accordingly.
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

    /// Whether the peer has to be paused for what its messages have cost; nil when it is given up.
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

    /// When to look next whether the send queue moves.
    func nextSendCheck() -> Duration {
        if tcp.sendProgressAt == nil { tcp.updateSendProgress() }
        return tcp.sendProgressAt.map { $0 + Self.sendPatience } ?? .seconds(Int64.max)
    }

    /// Ends the connection when the peer has taken nothing of what waits for it for too long; false then. One that has
    /// itself sent something meanwhile is alive and does not read.
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
