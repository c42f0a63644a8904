import Bytes
import Collections
import Crypto
import LibP2P
import Multiformats
import Reactor

/// Announces transactions to one peer and serves those that it requests: on one long-lived stream if the peer speaks
/// `/apus/txann/1.0.0`, else on a `/kwil/txann/1.0.0` stream for each.
@ReactorActor
final class TransactionAnnouncer {
    /// The most announcements that wait for a slow peer. Beyond that the oldest are forgotten; they are announced again later.
    static let maxQueued = 65_536
    /// How many transactions the peer is remembered to have, and how many it is remembered to have been told of.
    static let known = 16_384
    /// How many announcements on one stream are remembered until the peer answers them.
    nonisolated static let open = 65_536
    /// How many transactions are looked up together.
    static let together = 256
    /// The most streams with a single announcement open to the peer.
    static let maxSingles = 8
    /// How long a stream may be silent before it is ended.
    static let silence = Duration.seconds(300)
    /// The pause between the end of a stream and the next one. It doubles after each stream that ended soon without a request.
    static let pause = Duration.seconds(1)
    /// The longest such pause.
    static let longestPause = Duration.seconds(64)
    /// A stream with a shorter life has ended soon.
    static let shortLife = Duration.seconds(30)

    /// How many announcements of the backlog follow each other before the peer must be calm: half of those that are remembered,
    /// so that new transactions do not displace them.
    static let burst = open / 2
    /// The time without a request after which the peer has got, or refused, what it was told of the backlog.
    static let calm = Duration.seconds(1)

    /// How far the peer has been told of the transactions that waited when it connected, or when its last stream ended.
    private enum Backlog {
        /// It has been told of all.
        case told
        /// It has been told of none.
        case untold
        /// It has been told of some, and of this many since it was calm.
        case telling(Int)
    }

    let peer: PeerID
    private let host: Host
    private let source: any TransactionSource
    private let exchange: TransactionExchange
    private var queue: Deque<Hash> = []
    /// What the peer requests, and whether it was announced on the stream. Nothing else is looked up.
    private var wanted: Deque<(id: Hash, isAnnounced: Bool)> = []
    private var has = RecentHashes(capacity: TransactionAnnouncer.known)
    /// What the peer has been told of.
    private var told = RecentHashes(capacity: TransactionAnnouncer.known)
    /// What was announced on the stream and has not been requested.
    private var announced = RecentHashes(capacity: TransactionAnnouncer.open)
    private var backlog = Backlog.told
    /// When the backlog was last announced from, or the peer last requested something.
    private var lastUse = Duration.zero
    /// When the announcements in the queue have waited for others long enough; nil before the first of them.
    private var due: Duration?
    private var alarm: Timer?
    private let signal = Signal()
    private var isStopped = false
    private var singles = 0
    private var stream: Stream?
    private var hasWanted = false

    init(_ peer: PeerID, _ host: Host, _ source: any TransactionSource, _ exchange: TransactionExchange) {
        self.peer = peer
        self.host = host
        self.source = source
        self.exchange = exchange
    }

    /// Whether the peer speaks `/apus/txann/1.0.0`.
    var speaksBatches: Bool {
        host.identity(of: peer)?.protocols.contains(TransactionBatchProtocol.id) == true
    }

    /// The peer has this transaction: it announced or sent it.
    func knows(_ id: Hash) { has.insert(id) }

    /// Whether the peer or this node has announced this transaction to the other lately.
    func shares(_ id: Hash) -> Bool { has.contains(id) || told.contains(id) }

    /// Announces transactions, except those that the peer itself announced or sent. A transaction may be announced more than
    /// once: the peer may have refused or lost it.
    func announce(_ ids: [Hash]) {
        let wasEmpty = queue.isEmpty
        for id in ids where !has.contains(id) { queue.append(id) }
        if queue.count > Self.maxQueued { queue.removeFirst(queue.count - Self.maxQueued) }
        if !queue.isEmpty, wasEmpty || queue.count >= TransactionFrame.maxHashes { signal.fire() }
    }

    /// Announces all transactions that wait here, as fast as the peer takes them.
    func tell() {
        backlog = .untold
        signal.fire()
    }

    func stop() {
        isStopped = true
        alarm?.cancel()
        stream?.reset()
        signal.fire()
    }

    /// Works until stopped or the stream fails.
    func run() async {
        if speaksBatches { await runBatches() } else { await runSingles() }
    }

    private func runBatches() async {
        var pause = Self.pause
        while !isStopped {
            while queue.isEmpty, !isStopped { if await !takeBacklog() { await signal.wait() } }
            guard !isStopped, let stream = try? await host.newStream(peer, [TransactionBatchProtocol.id])
            else {
                return
            }
            self.stream = stream
            due = nil
            hasWanted = false
            announced = RecentHashes(capacity: Self.open)
            let (begin, watch) = (Reactor.now, StreamWatch(stream, silence: Self.silence))
            Reactor.spawn { await self.readWants(stream, watch) }
            try? await write(stream, watch)
            watch.stop()
            stream.reset()
            self.stream = nil
            wanted = []
            // The peer has forgotten what it had not requested yet. That is still in the backlog, and so is the queue.
            if watch.hasExpired { queue = [] }
            backlog = .untold
            guard !isStopped else { return }
            // A peer that ended the stream is left alone for a moment.
            let isFruitless = !hasWanted && Reactor.now - begin < Self.shortLife
            pause = isFruitless ? min(pause * 2, Self.longestPause) : Self.pause
            try? await Reactor.sleep(for: pause)
        }
    }

    private func write(_ stream: Stream, _ watch: StreamWatch) async throws {
        while !isStopped {
            watch.begin(.silence)
            if !wanted.isEmpty {
                watch.begin(.write)
                let (frames, sent, count) = await contents()
                try await stream.write(frames)
                watch.end(.write)
                exchange.sent(sent, to: peer)
                try await stream.spend(TransactionFrame.work(count))
            } else if !queue.isEmpty {
                guard isDue() else {
                    await signal.wait()
                    guard self.stream === stream else { return }
                    continue
                }
                var frame = ByteWriter()
                let ids = queue.prefix(TransactionFrame.maxHashes)
                TransactionFrame.encode(.announce, ids, to: &frame)
                for id in ids {
                    announced.insert(id)
                    told.insert(id)
                }
                queue.removeFirst(ids.count)
                due = nil
                watch.begin(.write)
                try await stream.write(frame.bytes)
                watch.end(.write)
            } else if await !takeBacklog() {
                await signal.wait()
                guard self.stream === stream else { return }
            }
        }
    }

    /// Whether the queue fills a frame, or has waited for more as long as that does no harm. If not, the signal follows in time.
    private func isDue() -> Bool {
        guard queue.count < TransactionFrame.maxHashes else { return true }
        let time = due ?? Reactor.now + source.patience
        due = time
        let rest = time - Reactor.now
        guard rest > .zero else { return true }
        wake(after: rest)
        return false
    }

    /// Queues the next transactions of the backlog. Returns false if none are left, or if the peer must be calm first.
    private func takeBacklog() async -> Bool {
        var told = 0
        switch backlog {
        case .told: return false
        case .untold: lastUse = Reactor.now
        case .telling(let count): told = count
        }
        if told >= Self.burst {
            let rest = lastUse + Self.calm - Reactor.now
            guard rest <= .zero else {
                wake(after: rest)
                return false
            }
            told = 0
        }
        let isFirst = if case .untold = backlog { true } else { false }
        backlog = .telling(told)
        let (ids, isLast) = await source.backlog(
            for: peer, isFirst: isFirst, most: TransactionFrame.maxHashes)
        lastUse = Reactor.now
        // While the source was asked, it may have begun again.
        guard case .telling = backlog else { return true }
        backlog = isLast ? .told : .telling(told + ids.count)
        announce(ids)
        return true
    }

    private func wake(after time: Duration) {
        if let alarm, alarm.isPending {
            guard alarm.deadline > Reactor.now + time else { return }
            alarm.cancel()
        }
        alarm = Reactor.schedule(after: time) { [weak self] in self?.signal.fire() }
    }

    /// The frames that answer the oldest requests, as many as are written together, the transactions in them, and how many
    /// requests these are.
    private func contents() async -> (frames: [UInt8], sent: [Hash], count: Int) {
        let first = wanted.prefix(Self.together)
        let ids = first.filter(\.isAnnounced).map(\.id)
        var found: ArraySlice<SharedBytes?> = []
        if !ids.isEmpty { found = await source.transactions(ids, bytes: TransactionFrame.contentBytes)[...] }
        var frames = ByteWriter(capacity: TransactionFrame.contentBytes)
        var (sent, gone): ([Hash], [Hash]) = ([], [])
        var taken = 0
        for (id, isAnnounced) in first {
            if isAnnounced, found.isEmpty { break }
            if isAnnounced, let bytes = found.removeFirst() {
                TransactionFrame.encode(content: bytes, to: &frames)
                sent.append(id)
            } else {
                gone.append(id)
            }
            taken &+= 1
        }
        wanted.removeFirst(taken)
        if !gone.isEmpty { TransactionFrame.encode(.gone, gone, to: &frames) }
        return (frames.bytes, sent, taken)
    }

    private func readWants(_ stream: Stream, _ watch: StreamWatch) async {
        do {
            while let kind = try await TransactionFrame.readKind(stream) {
                guard kind == .want else { throw ProtocolsError.malformed("frame") }
                watch.begin(.frame)
                let ids = try await TransactionFrame.readHashes(stream)
                watch.end(.frame)
                guard self.stream === stream else { return }
                guard wanted.count + ids.count <= 2 * TransactionRequests.maxPerPeer else {
                    throw ProtocolsError.wrongContent("more wants than allowed")
                }
                for id in ids {
                    // An announcement entitles to one answer.
                    let isAnnounced = announced.remove(id)
                    hasWanted = hasWanted || isAnnounced
                    wanted.append((id, isAnnounced))
                }
                lastUse = Reactor.now
                signal.fire()
                try await stream.spend(TransactionFrame.work(ids.count))
            }
        } catch {}
        stream.reset()
        if self.stream === stream {
            self.stream = nil
            signal.fire()
        }
    }

    private func runSingles() async {
        while !isStopped {
            guard singles < Self.maxSingles else {
                await signal.wait()
                continue
            }
            guard !queue.isEmpty else {
                if await !takeBacklog() { await signal.wait() }
                continue
            }
            let id = queue.removeFirst()
            guard !has.contains(id) else { continue }
            singles += 1
            Reactor.spawn {
                if let bytes = await self.source.transaction(id) {
                    _ = try? await TransactionAnnouncementProtocol.announce(
                        id, bytes, to: self.peer, on: self.host)
                }
                self.singles -= 1
                self.signal.fire()
            }
        }
    }
}
