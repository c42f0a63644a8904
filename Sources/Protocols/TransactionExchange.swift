import Collections
import Crypto
import LibP2P
import Multiformats
import Reactor

/// Brings transactions from peer to peer: announces to each what it does not have, fetches each announced one from
/// one peer, whatever protocol a peer speaks (docs/protocols.md).
@ReactorActor
public final class TransactionExchange {
    private let host: Host
    private let source: any TransactionSource
    private let isBlocksOnly: Bool
    private var requests = TransactionRequests(seed: Reactor.random())
    private let gate: BulkGate
    /// In the order in which the peers came.
    private var announcers: OrderedDictionary<PeerID, TransactionAnnouncer> = [:]
    private var listeners: [PeerID: TransactionListener] = [:]
    /// Long-lived streams that peers have opened.
    private var streams = 0
    private var timer: Timer?
    private var isPaused = false
    private var isStopped = false
    /// What was announced during a pause on streams that are still open.
    private var held = HeldAnnouncements()

    /// An exchange of the transactions of `source` on `host`. A blocks-only one serves the transactions that it
    /// has, but neither announces nor fetches any.
    public init(_ host: Host, _ source: any TransactionSource, isBlocksOnly: Bool = false) {
        self.host = host
        self.source = source
        self.isBlocksOnly = isBlocksOnly
        gate = BulkGate { [source] in source.trusts($0) }
    }

    /// Serves `/kwil/tx`, `/kwil/txann` and `/apus/txann`; blocks-only, the first, and ends streams of the second
    /// at once: kwil-db keeps no peer that does not advertise it.
    public func start() {
        let single = TransactionProtocol(source)
        let announcement = TransactionAnnouncementProtocol(source, gate)
        host.setStreamHandler(KwilProtocol.transaction) { await single.serve($0) }
        if isBlocksOnly {
            host.advertise(KwilProtocol.blocksOnly)
            host.setStreamHandler(KwilProtocol.transactionAnnouncement) { $0.close() }
            return
        }
        host.setStreamHandler(KwilProtocol.transactionAnnouncement) { [weak self] stream in
            guard let self else { return stream.reset() }
            let peer = stream.remotePeer
            await announcement.serve(
                stream, claim: { await !self.announced([$0], by: peer, stream: 0).isEmpty },
                release: { self.ended($0, peer, $1) })
        }
        host.setStreamHandler(KwilProtocol.transactionBatches) { [weak self] stream in
            guard let self else { return stream.reset() }
            await self.listen(stream)
        }
    }

    /// Ends all of the exchange's streams and serves no more.
    public func stop() {
        for id in [
            KwilProtocol.transaction, KwilProtocol.transactionAnnouncement, KwilProtocol.transactionBatches,
        ] {
            host.removeStreamHandler(id)
        }
        isStopped = true
        timer?.cancel()
        for announcer in announcers.values { announcer.stop() }
        announcers = [:]
        held = HeldAnnouncements()
        let open = listeners
        listeners = [:]
        for (_, listener) in open.sorted(by: { $0.key < $1.key }) { listener.stop() }
    }

    /// Announces to a peer from now on; its identify has come, so that it is known what it speaks.
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

    /// Announces transactions that the node holds to every peer that is not known to have them.
    public func announce(_ ids: [Hash]) {
        for announcer in announcers.values { announcer.announce(ids) }
    }

    /// Announces transactions that the node holds to one peer.
    public func announce(_ ids: [Hash], to peer: PeerID) {
        announcers[peer]?.announce(ids)
    }

    /// Fetches nothing more that is announced, until `resume`.
    public func pause() { isPaused = true }

    /// Fetches again, also what was announced meanwhile on streams that are still open.
    public func resume() {
        guard isPaused else { return }
        isPaused = false
        Reactor.spawn { await self.fetchHeld() }
    }

    /// A frame's worth at a time, so that everything else goes on.
    private func fetchHeld() async {
        while !isPaused, let (peer, ids) = held.take(TransactionFrame.maxHashes) {
            if let listener = listeners[peer] { await announced(ids, on: listener) }
            try? await Reactor.sleep(for: .zero)
        }
    }

    /// Transactions asked for and not yet here.
    public var inFlight: Int { requests.count }

    // MARK: Listening

    private func listen(_ stream: Stream) async {
        let peer = stream.remotePeer
        // A peer has one stream: the last, for it may have lost the one before unnoticed.
        if let former = listeners[peer] { end(former) }
        streams &+= 1
        let listener = TransactionListener(stream, source, self, BulkPlace(gate, peer), number: streams)
        listeners[peer] = listener
        await listener.run()
        end(listener)
    }

    /// A peer's stream is over: what it was asked for on it is asked of others.
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

    /// A peer has announced transactions on its stream.
    func announced(_ ids: [Hash], on listener: TransactionListener) async {
        let peer = listener.peer
        guard listeners[peer] === listener else { return }
        guard !isPaused else {
            learn(ids, peer)
            return held.add(ids, by: peer, isTrusted: source.trusts(peer))
        }
        ask(await announced(ids, by: peer, stream: listener.number), on: listener)
    }

    /// A peer has transactions. Returns those to ask it for now.
    private func announced(_ ids: [Hash], by peer: PeerID, stream: Int) async -> [Hash] {
        learn(ids, peer)
        guard !isPaused else { return [] }
        let announcer = TransactionRequests.Announcer(
            peer: peer, isTrusted: source.trusts(peer), stream: stream)
        let open = requests.open(ids, by: announcer, now: Reactor.now)
        let wanted = open.isEmpty ? [] : Set(await source.wanted(open))
        let here = Set(open.lazy.filter { !wanted.contains($0) })
        let asked = requests.announced(ids, by: announcer, now: Reactor.now) {
            wanted.contains($0) ? false : here.contains($0) ? true : nil
        }
        startTimer()
        return asked
    }

    private func learn(_ ids: [Hash], _ peer: PeerID) {
        guard let announcer = announcers[peer] else { return }
        for id in ids { announcer.knows(id) }
    }

    // MARK: Asking

    func delivered(_ id: Hash, by peer: PeerID) { requests.delivered(id, by: peer) }

    func gone(_ id: Hash, from peer: PeerID) { askAgain(requests.gone(id, from: peer, now: Reactor.now)) }

    /// A question to a peer has ended, on a stream of its own.
    private func ended(_ id: Hash, _ peer: PeerID, _ outcome: TransactionAnnouncementProtocol.Outcome) {
        switch outcome {
        case .delivered: delivered(id, by: peer)
        case .undelivered: askAgain(requests.undelivered(id, from: peer, now: Reactor.now))
        case .unread: withdraw(id, peer)
        }
    }

    /// The peer was not asked after all: nothing can be held against it.
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

    /// Asks a peer on a stream of the question's own: it announced the transaction on one, or on a stream that is gone.
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
                self.ended(id, peer, place.isRefused ? .unread : .undelivered)
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
