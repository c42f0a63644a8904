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
    private let gate = BulkGate()
    /// In the order in which the peers came.
    private var announcers: OrderedDictionary<PeerID, TransactionAnnouncer> = [:]
    private var listeners: [PeerID: TransactionListener] = [:]
    private var timer: Timer?
    private var isPaused = false
    /// What was announced during a pause, by whom.
    private var held: [(peer: PeerID, id: Hash)] = []
    private var heldPlaces = SharedPlaces<PeerID>(capacity: maxHeld, perPeer: TransactionRequests.maxPerPeer)

    /// Announcements that are kept during a pause; what is beyond will be announced again.
    static let maxHeld = 65_536

    /// An exchange of the transactions of `source` on `host`. A blocks-only one serves the transactions that it
    /// has, but neither announces nor fetches any.
    public init(_ host: Host, _ source: any TransactionSource, isBlocksOnly: Bool = false) {
        self.host = host
        self.source = source
        self.isBlocksOnly = isBlocksOnly
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
                stream, claim: { !self.announced([$0], by: peer).isEmpty },
                release: { $1 ? self.received($0, from: peer) : self.gone($0, from: peer) })
        }
        host.setStreamHandler(KwilProtocol.transactionBatches) { [weak self] stream in
            guard let self, self.listeners[stream.remotePeer] == nil else { return stream.reset() }
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
        timer?.cancel()
        for announcer in announcers.values { announcer.stop() }
        announcers = [:]
        for peer in listeners.keys.sorted() { listeners[peer]?.stop() }
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
        listeners[peer]?.stop()
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

    /// Fetches again, first what was announced meanwhile on streams that are still open.
    public func resume() {
        guard isPaused else { return }
        isPaused = false
        let announced = held
        held = []
        heldPlaces = SharedPlaces<PeerID>(capacity: Self.maxHeld, perPeer: TransactionRequests.maxPerPeer)
        for (peer, id) in announced {
            guard let listener = listeners[peer] else { continue }
            listener.want(self.announced([id], by: peer))
        }
    }

    /// Transactions asked for and not yet here.
    public var inFlight: Int { requests.count }

    private func listen(_ stream: Stream) async {
        let place = BulkPlace(gate, stream.remotePeer, isTrusted: source.trusts(stream.remotePeer))
        let listener = TransactionListener(stream, source, self, place)
        listeners[stream.remotePeer] = listener
        await listener.run()
        listeners[stream.remotePeer] = nil
        askAgain(requests.left(stream.remotePeer, now: Reactor.now))
    }

    /// A peer has transactions. Returns those to ask it for now.
    func announced(_ ids: [Hash], by peer: PeerID) -> [Hash] {
        if let announcer = announcers[peer] {
            for id in ids { announcer.knows(id) }
        }
        let isTrusted = source.trusts(peer)
        if isPaused {
            for id in ids where heldPlaces.take(peer, isTrusted: isTrusted) { held.append((peer, id)) }
            return []
        }
        let wanted = requests.announced(
            ids.filter { !source.has($0) }, by: peer, isTrusted: isTrusted, now: Reactor.now)
        startTimer()
        return wanted
    }

    func received(_ id: Hash, from peer: PeerID) { requests.received(id, from: peer) }

    func gone(_ id: Hash, from peer: PeerID) { askAgain(requests.gone(id, from: peer, now: Reactor.now)) }

    private func askAgain(_ wants: [TransactionRequests.Want]) {
        for want in wants {
            let (peer, id) = (want.peer, want.id)
            if source.has(id) {
                requests.received(id)
            } else if let listener = listeners[peer] {
                listener.want([id])
            } else {
                fetch(id, from: peer)
            }
        }
    }

    /// Asks a peer without a long-lived stream.
    private func fetch(_ id: Hash, from peer: PeerID) {
        Reactor.spawn {
            let place = BulkPlace(self.gate, peer, isTrusted: self.source.trusts(peer))
            defer { place.leave() }
            let bytes = try? await TransactionProtocol.request(
                id, from: peer, on: self.host, limit: self.source.transactionLimit, place)
            guard let bytes else { return self.gone(id, from: peer) }
            self.requests.received(id, from: peer)
            if !self.source.has(id) { _ = await self.source.receive([(id, bytes)], from: peer) }
        }
    }

    private func startTimer() {
        guard timer?.isPending != true, requests.count > 0 else { return }
        timer = Reactor.schedule(after: .seconds(1)) { [weak self] in
            guard let self else { return }
            let (again, stalling) = requests.expire(now: Reactor.now) {
                listeners[$0]?.progress ?? gate.progress(of: $0)
            }
            askAgain(again)
            for peer in stalling { host.report(peer, .stalling) }
            startTimer()
        }
    }
}
