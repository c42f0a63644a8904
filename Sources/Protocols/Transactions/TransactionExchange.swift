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
    private var requests = TransactionRequests(seed: Reactor.random())
    private let gate: BulkGate
    /// In the order in which the peers connected.
    private var announcers: OrderedDictionary<PeerID, TransactionAnnouncer> = [:]
    private var listeners: [PeerID: TransactionListener] = [:]
    /// How many long-lived streams peers have opened.
    private var streams = 0
    private var timer: Timer?
    private var isPaused = false
    private var isStopped = false
    /// What was announced during a pause, on streams that are still open.
    private var held = HeldAnnouncements()

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
        let announcer = TransactionAnnouncer(peer, host, source)
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
    }

    /// Announces transactions that the node has to every peer that is not known to have them.
    public func announce(_ ids: [Hash]) {
        for id in ids { known.insert(id) }
        for announcer in announcers.values { announcer.announce(ids) }
    }

    /// Announces transactions that the node has to one peer.
    public func announce(_ ids: [Hash], to peer: PeerID) {
        announcers[peer]?.announce(ids)
    }

    /// Fetches no announced transactions until `resume`.
    public func pause() { isPaused = true }

    /// Fetches again, and also what was announced meanwhile on streams that are still open.
    public func resume() {
        guard isPaused else { return }
        isPaused = false
        Reactor.spawn { await self.fetchHeld() }
    }

    /// Fetches as many as fit into a frame at a time, so that everything else goes on.
    private func fetchHeld() async {
        while !isPaused, let (peer, ids) = held.take(TransactionFrame.maxHashes) {
            if let listener = listeners[peer] { await announced(ids, on: listener) }
            try? await Reactor.sleep(for: .zero)
        }
    }

    /// How many requested transactions have not come yet.
    public var inFlight: Int { requests.count }

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
        guard !isPaused else {
            learn(ids, peer)
            return held.add(ids, by: peer, isTrusted: source.trusts(peer))
        }
        ask(await announced(ids, by: peer, stream: listener.number), on: listener)
    }

    /// A peer has transactions. Returns those to request from it now.
    private func announced(_ ids: [Hash], by peer: PeerID, stream: Int) async -> [Hash] {
        learn(ids, peer)
        guard !isPaused else { return [] }
        let announcer = TransactionRequests.Announcer(
            peer: peer, isTrusted: source.trusts(peer), stream: stream)
        let open = requests.open(ids, by: announcer, now: Reactor.now)
        forgetKnown()
        let unknown = open.filter { !known.contains($0) }
        let wanted = unknown.isEmpty ? [] : Set(await source.wanted(unknown))
        let here = Set(open.lazy.filter { !wanted.contains($0) })
        let asked = requests.announced(ids, by: announcer, now: Reactor.now) {
            wanted.contains($0) ? false : here.contains($0) ? true : nil
        }
        startTimer()
        return asked
    }

    private func forgetKnown() {
        guard Reactor.now - knownSince >= Self.knownTime else { return }
        knownSince = Reactor.now
        known = RecentHashes(capacity: Self.knownCapacity)
    }

    package func isWanted(_ id: Hash, from peer: PeerID) async -> Bool {
        await !announced([id], by: peer, stream: 0).isEmpty
    }

    private func learn(_ ids: [Hash], _ peer: PeerID) {
        guard let announcer = announcers[peer] else { return }
        for id in ids { announcer.knows(id) }
    }

    // MARK: Requesting

    func delivered(_ id: Hash, by peer: PeerID) {
        known.insert(id)
        requests.delivered(id, by: peer)
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
        guard timer?.isPending != true, !requests.isIdle, !isStopped else { return }
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
        startTimer()
    }
}
