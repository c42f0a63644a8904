import Collections
import Crypto
import LibP2P
import Multiformats
import Reactor

/// Exchanges transactions with peers: announces to each those that it lacks, and fetches each announced one from one peer,
/// whatever protocol a peer speaks (docs/protocols.md).
@ReactorActor
public final class TransactionExchange: TransactionInbox {
    private let host: Host
    private let source: any TransactionSource
    private let isBlocksOnly: Bool
    /// Transactions that came, or were announced, in the last seconds. All peers announce a transaction at about the same
    /// time, and only the first announcement is worth a question to the mempool.
    private var known = RecentHashes(capacity: TransactionExchange.knownCapacity)
    private var knownSince = Duration.zero
    /// How long they are remembered: a transaction that the mempool drops is wanted again after that.
    private nonisolated static let knownTime = Duration.seconds(2)
    /// How many of them are remembered at least: a few blocks full of small transactions.
    private nonisolated static let knownCapacity = 1 << 14
    /// How many of a block's transactions may be new to a peer.
    private nonisolated static let newest = 1_024
    private var requests = TransactionRequests(seed: Reactor.random())
    private var spreading = TransactionSpreading()
    private var spreadingTimer = DeadlineTimer()
    private let gate: BulkGate
    /// In the order in which the peers connected.
    private var announcers: OrderedDictionary<PeerID, TransactionAnnouncer> = [:]
    private var listeners: [PeerID: TransactionListener] = [:]
    /// How many long-lived streams peers have opened.
    private var streams = 0
    private var timer: Timer?
    private var isPaused = false
    private var isStopped = false
    /// What was announced during a pause, or by peers without room for more requests, on streams that are still open.
    private var held = HeldAnnouncements()
    private var isRequestingHeld = false
    /// How many transactions have come on long-lived streams and are not with the source yet.
    private var arrived = 0

    /// Exchanges the transactions of `source` on `host`. A blocks-only exchange serves the transactions that it has, but neither
    /// announces nor fetches any.
    public init(_ host: Host, _ source: any TransactionSource, isBlocksOnly: Bool = false) {
        self.host = host
        self.source = source
        self.isBlocksOnly = isBlocksOnly
        gate = BulkGate { [source] in source.trusts($0) }
    }

    /// Serves `/kwil/tx`, `/kwil/txann` and `/apus/txann`. Blocks-only, it serves the first, and ends streams of the second at
    /// once.
    public func start() {
        host.register(TransactionProtocol(source))
        if isBlocksOnly {
            host.advertise(KwilProtocol.blocksOnly)
            host.register(DeclinedTransactionAnnouncementProtocol())
        } else {
            host.register(TransactionAnnouncementProtocol(self, source, gate))
            host.register(TransactionBatchProtocol(self))
        }
    }

    /// Stops serving, and ends all of the exchange's streams.
    public func stop() {
        host.unregister([
            TransactionProtocol.id, TransactionAnnouncementProtocol.id, TransactionBatchProtocol.id,
        ])
        isStopped = true
        timer?.cancel()
        spreadingTimer.cancel()
        for announcer in announcers.values { announcer.stop() }
        announcers = [:]
        held = HeldAnnouncements()
        let open = listeners
        listeners = [:]
        for (_, listener) in open.sorted(by: { $0.key < $1.key }) { listener.stop() }
    }

    /// Announces to a peer from now on. Its identify has come, so its protocols are known.
    public func peerReady(_ peer: PeerID) {
        guard !isBlocksOnly, !PeerTraits(host.identity(of: peer)?.protocols ?? []).isBlocksOnly else {
            return
        }
        guard announcers[peer] == nil else { return }
        let announcer = TransactionAnnouncer(peer, host, source, self)
        announcers[peer] = announcer
        Reactor.spawn {
            await announcer.run()
            if self.announcers[peer] === announcer { self.announcers[peer] = nil }
        }
    }

    /// The peer's connection is gone.
    public func peerLeft(_ peer: PeerID) {
        announcers.removeValue(forKey: peer)?.stop()
        if let listener = listeners[peer] { end(listener) }
        let left = spreading.left(peer)
        for announcer in announcers.values { announcer.announce(left) }
    }

    /// Announces transactions that the node has to every peer that is not known to have them.
    public func announce(_ ids: [Hash]) {
        for id in ids { known.insert(id) }
        for announcer in announcers.values { announcer.announce(ids) }
    }

    /// Announces long transactions of this node's clients: each to one trusted peer, and to the others when that has had time to
    /// pass it on. The leader and peers without batches, which do not pass it on in this way, are told at once.
    public func spread(_ ids: [Hash]) {
        let now = Reactor.now
        let able = announcers.filter {
            $0.value.speaksBatches && source.trusts($0.key) && !source.follows($0.key)
        }
        guard able.count > 1, let told = spreading.begin(ids, among: able.map(\.key), now: now) else {
            return announce(ids)
        }
        for id in ids { known.insert(id) }
        for share in told { announcers[share.peer]?.announce(share.ids) }
        for (peer, announcer) in announcers where !announcer.speaksBatches || source.follows(peer) {
            announcer.announce(ids)
        }
        armSpreadingTimer()
    }

    /// How many transactions only one peer has been told of, and the most that may be.
    public var told: (count: Int, limit: Int) { (spreading.count, TransactionSpreading.capacity) }

    /// A peer has been sent transactions that it requested.
    func sent(_ ids: [Hash], to peer: PeerID) { spreading.sent(ids, to: peer, now: Reactor.now) }

    private func armSpreadingTimer() {
        guard !isStopped else { return }
        spreadingTimer.arm(at: spreading.deadline) { [weak self] in
            guard let self else { return }
            let due = spreading.expire(now: Reactor.now)
            Reactor.spawn { for share in due { await self.tellOthers(share) } }
            armSpreadingTimer()
        }
    }

    private func tellOthers(_ share: TransactionSpreading.Told) async {
        // What has been dropped meanwhile must not be announced: who cannot deliver it is doubted.
        let dropped = Set(await source.wanted(share.ids))
        let kept = share.ids.filter { !dropped.contains($0) }
        for (peer, announcer) in announcers where peer != share.peer { announcer.announce(kept) }
    }

    /// Announces to one peer, step by step, all transactions that wait here.
    public func tell(_ peer: PeerID) { announcers[peer]?.tell() }

    /// Of a new block's transactions, the places of those that a peer probably lacks: they came in the last seconds, so they are
    /// among its last, neither this node nor the peer has announced them to the other, and no other peer is passing them on to it.
    public func lacking(_ ids: [Hash], _ peer: PeerID) -> [Int] {
        guard let announcer = announcers[peer] else { return [] }
        return ids.indices.suffix(Self.newest).filter {
            known.contains(ids[$0]) && !spreading.contains(ids[$0]) && !announcer.shares(ids[$0])
        }
    }

    /// Fetches no announced transactions until `resume`.
    public func pause() { isPaused = true }

    /// Fetches again, and also what was announced meanwhile on streams that are still open.
    public func resume() {
        guard isPaused else { return }
        isPaused = false
        requestHeld()
    }

    /// The source has more room than before.
    public func roomGrew() { requestHeld() }

    /// How many requested transactions have not come yet.
    public var inFlight: Int { requests.count }

    /// How many announcements wait until their peers may be asked, and the most that may.
    public var waiting: (count: Int, limit: Int) { (held.count, HeldAnnouncements.capacity) }

    // MARK: Listening

    /// Takes announcements from a peer's long-lived stream until it ends.
    func listen(_ stream: Stream) async throws {
        let peer = stream.remotePeer
        // Of a peer's streams only the newest counts: it may have lost the previous one without this node noticing.
        if let former = listeners[peer] { end(former) }
        streams &+= 1
        let listener = TransactionListener(stream, source, self, BulkPlace(gate, peer), number: streams)
        listeners[peer] = listener
        defer { end(listener) }
        try await listener.run()
    }

    /// A peer's stream is over. What was requested on it is requested from others.
    private func end(_ listener: TransactionListener) {
        let peer = listener.peer
        listener.stop()
        guard listeners[peer] === listener else { return }
        listeners[peer] = nil
        held.forget(peer)
        askAgain(
            requests.left(
                peer, stream: listener.number, isExcused: listener.isExcused, now: Reactor.now))
    }

    /// A peer has announced transactions on its long-lived stream.
    func announced(_ ids: [Hash], on listener: TransactionListener) async {
        let peer = listener.peer
        guard listeners[peer] === listener else { return }
        learn(ids, peer)
        await request(ids, on: listener)
    }

    /// Requests transactions that a peer has announced and this node lacks, as many as there is room for, and holds the others.
    /// Returns whether there was room for all.
    @discardableResult
    private func request(_ ids: [Hash], on listener: TransactionListener) async -> Bool {
        var left = ids
        if !isPaused {
            let asked: [Hash]
            (asked, left) = await choose(ids, by: listener.peer, stream: listener.number)
            ask(asked, on: listener)
        }
        guard !left.isEmpty else { return true }
        if listeners[listener.peer] === listener { hold(left, listener.peer) }
        return false
    }

    /// Of transactions that a peer has announced, those to request from it now, and those for which there is no room.
    private func choose(_ ids: [Hash], by peer: PeerID, stream: Int) async -> (asked: [Hash], left: [Hash]) {
        let announcer = announcer(peer, stream: stream)
        let open = requests.open(ids, by: announcer, most: roomForRequests, now: Reactor.now)
        forgetKnown()
        let unknown = open.filter { !known.contains($0) }
        let wanted = unknown.isEmpty ? [] : Set(await source.wanted(unknown))
        let here = Set(open.lazy.filter { !wanted.contains($0) })
        let choice = requests.announced(ids, by: announcer, most: roomForRequests, now: Reactor.now) {
            wanted.contains($0) ? false : here.contains($0) ? true : nil
        }
        startTimer()
        return choice
    }

    private func announcer(_ peer: PeerID, stream: Int) -> TransactionRequests.Announcer {
        TransactionRequests.Announcer(peer: peer, isTrusted: source.trusts(peer), stream: stream)
    }

    private func forgetKnown() {
        guard Reactor.now - knownSince >= Self.knownTime else { return }
        knownSince = Reactor.now
        known = RecentHashes(capacity: Self.knownCapacity)
    }

    package func isWanted(_ id: Hash, from peer: PeerID) async -> Bool {
        learn([id], peer)
        guard !isPaused else { return false }
        return await !choose([id], by: peer, stream: 0).asked.isEmpty
    }

    private func learn(_ ids: [Hash], _ peer: PeerID) {
        guard let announcer = announcers[peer] else { return }
        for id in ids { announcer.knows(id) }
    }

    // MARK: Holding

    private func hold(_ ids: [Hash], _ peer: PeerID) {
        held.add(ids, by: peer, isTrusted: source.trusts(peer))
        startTimer()
    }

    /// How many of a peer's announcements may be requested together now.
    private func room(for peer: PeerID) -> Int {
        let stream = listeners[peer]?.number ?? 0
        return min(
            TransactionFrame.maxHashes, roomForRequests,
            requests.room(for: announcer(peer, stream: stream), now: Reactor.now))
    }

    /// How many more transactions this node can take than it has requested or is taking.
    private var roomForRequests: Int { max(0, source.room &- requests.openCount &- arrived) }

    /// Requests what is held, as far as there is room: as many as fit into a frame at a time, so that everything else goes on.
    private func requestHeld() {
        guard !isRequestingHeld, held.count > 0 else { return }
        isRequestingHeld = true
        Reactor.spawn {
            var full: Set<PeerID> = []
            while !self.isPaused, !self.isStopped,
                let (peer, ids) = self.held.take({ full.contains($0) ? 0 : self.room(for: $0) })
            {
                guard let listener = self.listeners[peer] else { continue }
                if await !self.request(ids, on: listener) { full.insert(peer) }
                try? await Reactor.sleep(for: .zero)
            }
            self.isRequestingHeld = false
        }
    }

    // MARK: Requesting

    /// A transaction has come on a listener's stream; `handedOn` follows.
    func arrived(_ id: Hash, by peer: PeerID) {
        arrived &+= 1
        delivered(id, by: peer)
    }

    /// Transactions that have arrived are with the source, or are given up.
    func handedOn(_ count: Int) { arrived &-= count }

    private func delivered(_ id: Hash, by peer: PeerID) {
        known.insert(id)
        requests.delivered(id, by: peer, now: Reactor.now)
        guard held.count(of: peer) > 0 else { return }
        // Not for each transaction: a request costs a look-up and a frame, however many it names.
        if room(for: peer) == TransactionFrame.maxHashes || !requests.isAsking(peer) { requestHeld() }
    }

    func gone(_ id: Hash, from peer: PeerID) { askAgain(requests.gone(id, from: peer, now: Reactor.now)) }

    /// A request on a stream of its own has ended.
    package func fetchEnded(
        _ id: Hash, from peer: PeerID, _ outcome: TransactionAnnouncementProtocol.Outcome
    ) {
        switch outcome {
        case .delivered: delivered(id, by: peer)
        case .undelivered: askAgain(requests.undelivered(id, from: peer, now: Reactor.now))
        case .unread: withdraw(id, peer)
        }
    }

    /// The peer did not get the request, so it is not to blame.
    private func withdraw(_ id: Hash, _ peer: PeerID) {
        askAgain(requests.withdrawn(id, from: peer, now: Reactor.now))
    }

    private func askAgain(_ wants: [TransactionRequests.Want]) {
        guard !wants.isEmpty else { return }
        Reactor.spawn { await self.ask(wants) }
    }

    private func ask(_ wants: [TransactionRequests.Want]) async {
        let wanted = Set(await source.wanted(wants.map(\.id)))
        for want in wants {
            if !wanted.contains(want.id) {
                requests.came(want.id)
                withdraw(want.id, want.peer)
            } else if let listener = listeners[want.peer], listener.number == want.stream {
                ask([want.id], on: listener)
            } else if host.isConnected(want.peer) {
                fetch(want.id, from: want.peer)
            } else {
                withdraw(want.id, want.peer)
            }
        }
    }

    private func ask(_ ids: [Hash], on listener: TransactionListener) {
        for id in listener.want(ids) { withdraw(id, listener.peer) }
    }

    /// Requests a transaction on a new stream: the peer announced it on a stream of its own, or on one that is gone.
    private func fetch(_ id: Hash, from peer: PeerID) {
        Reactor.spawn {
            let place = BulkPlace(self.gate, peer)
            defer { place.leave() }
            do {
                let bytes = try await TransactionProtocol.request(
                    id, from: peer, on: self.host, limit: self.source.transactionLimit, place)
                guard let bytes else { return self.gone(id, from: peer) }
                self.delivered(id, by: peer)
                _ = await self.source.receive([(id, bytes)], from: peer)
            } catch {
                self.fetchEnded(id, from: peer, place.isRefused ? .unread : .undelivered)
            }
        }
    }

    private func startTimer() {
        guard timer?.isPending != true, !requests.isIdle || held.count > 0, !isStopped else { return }
        timer = Reactor.schedule(after: .seconds(1)) { [weak self] in
            Reactor.spawn { await self?.expire() }
        }
    }

    private func expire() async {
        let now = Reactor.now
        let gone = requests.saidToBeGone(now: now)
        let wanted = gone.isEmpty ? [] : Set(await source.wanted(gone))
        let (again, stalling) = requests.expire(
            now: now, doing: { listeners[$0]?.progress ?? gate.progress(of: $0) },
            has: { !wanted.contains($0) })
        askAgain(again)
        for peer in stalling { host.report(peer, .stalling) }
        requestHeld()
        startTimer()
    }
}
