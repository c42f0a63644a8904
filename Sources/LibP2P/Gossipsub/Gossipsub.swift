import Bytes
import Log
import Multiformats
import Reactor

/// Publish and subscribe over a host's connections: gossipsub 1.1 and 1.2, with floodsub peers tolerated, and every
/// message signed by its author.
///
/// libp2p pubsub and gossipsub specifications. The driver of `GossipsubRouter`: it holds the streams, verifies
/// signatures on a worker and calls validators, until it or the host is stopped.
@ReactorActor
public final class Gossipsub: StreamProtocol {
    /// Decides on a message, whose signature has been verified, before it is delivered or forwarded. The peer is the
    /// one that sent it, not its author.
    public typealias Validator =
        @ReactorActor @Sendable (GossipMessage, PeerID) async -> GossipsubRouter.Verdict
    /// Takes an accepted message and the peer that sent it. Not called for this host's own messages.
    public typealias Handler = @ReactorActor @Sendable (GossipMessage, PeerID) -> Void

    /// The protocol's IDs, in order of preference.
    public nonisolated static let ids: [ProtocolID] = [.meshsub12, .meshsub11, .floodsub]
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "gossip"
    /// See `StreamProtocol.priority`.
    public nonisolated static let priority = StreamPriority.high
    /// The time limit for the rest of an RPC after its length.
    static let readTimeout = Duration.seconds(30)
    /// The most messages queued for the verifying thread; further ones suspend their tasks.
    static let verifierCapacity = 256

    private struct Topic {
        let validator: Validator?
        let handler: Handler
        let foreign: Handler?
    }

    private let host: Host
    private let configuration: GossipsubConfiguration
    private let log: Log
    private let verifier = Worker(name: "gossip", capacity: Gossipsub.verifierCapacity)
    private var router: GossipsubRouter
    private var links: [PeerID: GossipLink] = [:]
    private var topics: [RawText: Topic] = [:]
    private var sequence: UInt64
    private var timer: Timer?
    private var isStopped = false

    /// The counts since the start.
    public var counters: GossipCounters { router.counters }

    /// Nanoseconds since 1970: a first sequence number above those of earlier processes.
    public nonisolated static var systemSequence: UInt64 {
        UInt64(truncatingIfNeeded: WallClock.now.nanoseconds)
    }

    /// Begins to exchange messages with the host's peers, including those already connected.
    ///
    /// `firstSequence` numbers the first message published; it must be above every number this identity has used.
    public init(
        _ host: Host, configuration: GossipsubConfiguration = GossipsubConfiguration(),
        firstSequence: UInt64 = Gossipsub.systemSequence
    ) {
        self.host = host
        self.configuration = configuration
        log = host.configuration.log.of("gossip")
        router = GossipsubRouter(host.peerID, configuration: configuration, seed: Reactor.random())
        sequence = firstSequence
        host.register(self)
        host.observe { [weak self] in self?.observe($0) }
        for peer in host.connectedPeers {
            if let info = host.identity(of: peer) { identified(peer, info) }
        }
        scheduleHeartbeat()
    }

    /// Ends all exchange with peers. The object cannot be used afterwards.
    public func stop() {
        guard !isStopped else { return }
        isStopped = true
        timer?.cancel()
        host.unregister(Self.ids)
        for peer in links.keys.sorted() { remove(peer) }
        verifier.stop()
    }

    // MARK: Topics

    /// Joins a topic. Messages that `validator` accepts, or all signed ones if it is nil, go to `handler` and are
    /// forwarded. `foreign` is called for an unverified message in this host's own name that it has not published.
    /// Subscribing again replaces all three.
    public func subscribe(
        _ topic: RawText, validator: Validator? = nil, handler: @escaping Handler, foreign: Handler? = nil
    ) {
        guard !isStopped else { return }
        topics[topic] = Topic(validator: validator, handler: handler, foreign: foreign)
        perform(router.subscribe(topic, now: Reactor.now))
    }

    /// Leaves a topic.
    public func unsubscribe(_ topic: RawText) {
        topics[topic] = nil
        perform(router.unsubscribe(topic, now: Reactor.now))
    }

    /// Signs a message and sends it to the topic's subscribers. This host's own handler is not called.
    ///
    /// Throws `invalidMessage` if topic or data are too long, `notRunning` after `stop`.
    public func publish(_ topic: RawText, _ data: [UInt8]) throws(LibP2PError) {
        guard !isStopped else { throw .notRunning }
        guard !topic.utf8.isEmpty, topic.utf8.count <= GossipRPC.maximumTopic else {
            throw .invalidMessage("a topic must have 1 to \(GossipRPC.maximumTopic) bytes")
        }
        guard data.count <= configuration.maximumData else {
            throw .invalidMessage("\(data.count) bytes exceed the limit of \(configuration.maximumData)")
        }
        let message = GossipMessage(
            topic: topic, data: data, sequence: sequence, author: host.configuration.identity)
        sequence &+= 1
        perform(router.publish(message, now: Reactor.now))
    }

    /// Sends a signed message to a peer that may have it or be its author, to whom no mesh returns it.
    public func bring(_ message: GossipMessage, to peer: PeerID) {
        guard !isStopped else { return }
        send(message.frame, .relayed, message.id, to: [peer])
    }

    /// The connected peers that have joined a topic.
    public func subscribers(_ topic: RawText) -> [PeerID] { router.subscribers(topic) }

    /// The peers in a topic's mesh.
    public func mesh(_ topic: RawText) -> [PeerID] { router.mesh(topic) }

    // MARK: Peers

    /// Returns a peer's score on the scale of `PeerScoreParameters`; zero for an unknown peer.
    public func score(_ peer: PeerID) -> Double { router.score(peer) }

    /// Sets the application's part of a connected peer's score.
    public func setApplicationScore(_ peer: PeerID, _ score: Double) {
        router.setApplicationScore(peer, score)
    }

    private func observe(_ event: HostEvent) {
        guard !isStopped else { return }
        switch event {
        case .connected, .misbehaved: break
        case .identified(let peer, let info): identified(peer, info)
        case .disconnected(let peer, _): remove(peer)
        }
    }

    private func identified(_ peer: PeerID, _ info: IdentifyInfo) {
        guard let id = Self.ids.first(where: { info.protocols.contains($0) }) else { return }
        let link = link(to: peer, id)
        if let connection = host.peers[peer]?.primary { link.move(to: connection) }
    }

    /// Returns the peer's link, creating it if there is none. Identify or the peer's first stream creates it, so that
    /// nothing that a peer sends before identify has finished is lost.
    @discardableResult
    private func link(to peer: PeerID, _ id: ProtocolID) -> GossipLink {
        if let link = links[peer] { return link }
        let link = GossipLink(peer, host: host, protocols: Self.ids)
        let connection = host.peers[peer]?.primary
        link.greeting = { [weak self] in self?.greeting(peer) ?? GossipRPC() }
        link.gaveUp = { [weak self] in self?.remove(peer) }
        links[peer] = link
        link.start()
        // Peers of one owner share an address, but all may share loopback.
        let ip = connection?.tcp.remoteAddress.ip
        // The stream begins with these subscriptions anyway.
        _ = router.connected(
            peer, protocolID: id, isOutbound: connection?.isInbound == false,
            address: ip.flatMap { $0.isLoopback ? nil : $0.place.description })
        return link
    }

    /// Returns the first RPC of a stream: all topics joined, and GRAFTs for the meshes with the peer, in case an
    /// earlier stream has lost them.
    private func greeting(_ peer: PeerID) -> GossipRPC {
        var rpc = GossipRPC()
        rpc.subscriptions = router.subscriptions.map { .init(subscribe: true, topic: $0) }
        rpc.graft = router.subscriptions.filter { router.mesh($0).contains(peer) }
        return rpc
    }

    private func remove(_ peer: PeerID) {
        guard let link = links.removeValue(forKey: peer) else { return }
        link.stop()
        router.disconnected(peer, now: Reactor.now)
    }

    /// Handles the RPCs of a stream that a peer has opened, until it ends.
    public func serve(_ stream: Stream) async throws {
        let peer = stream.remotePeer
        guard !isStopped, host.isConnected(peer) else { return stream.reset() }
        let link = link(to: peer, stream.protocolID)
        link.take(stream)
        do throws(LibP2PError) {
            while true {
                stream.deadline = nil
                let length = try await readLength(stream)
                stream.setTimeout(Self.readTimeout)
                let bytes = try await stream.readShared(length)
                guard links[peer] === link else { return stream.reset() }
                var entries = 0
                let isGraylisted = router.isGraylisted(peer)
                if !isGraylisted {
                    let rpc = try GossipRPC(decoding: bytes)
                    entries = rpc.entries
                    perform(router.received(rpc, from: peer, now: Reactor.now))
                }
                let pause = link.budget.spend(
                    length, entries: entries, isIgnored: isGraylisted, now: Reactor.now,
                    interval: configuration.heartbeat)
                guard pause > .zero else { continue }
                // The peer continues although everything from it is ignored.
                if isGraylisted { stream.report(.flooding) }
                try? await Reactor.sleep(for: pause)
            }
        } catch .endOfStream {
        } catch {
            log.debug("a peer's stream ended", ["peer": .of(peer), "reason": .error(error)])
            throw error
        }
    }

    private func readLength(_ stream: Stream) async throws(LibP2PError) -> Int {
        var length = 0
        for shift in stride(from: 0, to: 28, by: 7) {
            guard let byte = try await stream.readExactly(1).first else { throw .endOfStream }
            length |= Int(byte & 0x7f) << shift
            guard byte & 0x80 != 0 else {
                guard length <= GossipRPC.maximumSize else { break }
                return length
            }
        }
        throw .tooLarge("gossip RPC")
    }

    // MARK: The router's actions

    private func scheduleHeartbeat() {
        timer = Reactor.schedule(after: configuration.heartbeat) { [weak self] in
            guard let self, !isStopped else { return }
            perform(router.heartbeat(now: Reactor.now))
            scheduleHeartbeat()
        }
    }

    private func perform(_ actions: [GossipsubRouter.Action]) {
        for action in actions {
            switch action {
            case .send(let peer, let rpc):
                let priority: GossipPriority = rpc.isOffer ? .offered : .control
                send(SharedBytes(rpc.encoded), priority, to: [peer])
            case .forward(let message, let peers, let priority):
                send(message.frame, priority, message.id, to: peers)
            case .withdraw(let ids, let peer): links[peer]?.withdraw(ids)
            case .verify(let message, let peer): verify(message, from: peer)
            case .foreign(let message, let peer): topics[message.topic]?.foreign?(message, peer)
            case .validate(let message, let peer): validate(message, from: peer)
            case .deliver(let message, let peer): topics[message.topic]?.handler(message, peer)
            case .connect(let peer): connect(peer)
            case .graylisted(let peer, let score):
                log.info("peer graylisted for its score", ["peer": .of(peer), "score": .of(score)])
                host.report(peer, .flooding)
            }
        }
    }

    private func send(
        _ rpc: SharedBytes, _ priority: GossipPriority, _ message: GossipMessage.ID? = nil, to peers: [PeerID]
    ) {
        for peer in peers {
            let dropped = links[peer]?.send(rpc, priority, message: message) ?? 0
            if dropped > 0 { router.counters.unsent &+= UInt64(dropped) }
        }
    }

    private func connect(_ peer: PeerID) {
        guard !host.isConnected(peer) else { return }
        Reactor.spawn { [self] in
            do {
                try await host.connect(peer, [])
            } catch {
                log.debug("peer not reached", ["peer": .of(peer), "reason": .error(error)])
            }
        }
    }

    private func verify(_ message: GossipMessage, from peer: PeerID) {
        Reactor.spawn { [self] in
            let isSigned = (try? await verifier.run { message.verify() }) ?? false
            guard !isStopped else { return }
            if !isSigned { reject(message, from: peer, "it is not signed by its author") }
            perform(router.verified(message, from: peer, isSigned: isSigned, now: Reactor.now))
        }
    }

    private func validate(_ message: GossipMessage, from peer: PeerID) {
        Reactor.spawn { [self] in
            var verdict = GossipsubRouter.Verdict.ignore
            if let topic = topics[message.topic] {
                verdict = await topic.validator?(message, peer) ?? .accept
            }
            guard !isStopped else { return }
            if verdict == .reject {
                reject(message, from: peer, "its validator rejects it")
                // A peer that forwards another's message may not know better.
                if message.author == peer { host.report(peer, .malformed) }
            }
            perform(router.validated(message, from: peer, verdict, now: Reactor.now))
        }
    }

    private func reject(_ message: GossipMessage, from peer: PeerID, _ reason: String) {
        log.debug(
            "message rejected",
            [
                "topic": .text(message.topic.string), "author": .of(message.author), "peer": .of(peer),
                "reason": .text(reason),
            ])
    }
}

extension ProtocolID {
    /// Gossipsub without IDONTWANT.
    public static let meshsub11: ProtocolID = "/meshsub/1.1.0"
    /// Gossipsub with IDONTWANT.
    public static let meshsub12: ProtocolID = "/meshsub/1.2.0"
    /// Gossipsub's predecessor, which sends every message to every subscriber.
    public static let floodsub: ProtocolID = "/floodsub/1.0.0"
}
