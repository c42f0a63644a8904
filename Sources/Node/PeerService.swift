import Chain
import Collections
import Consensus
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// Drives the peer planner: hands it what happens to connections, does what it asks for, exchanges peers with peers
/// and keeps the address book (docs/peers.md).
@ReactorActor
final class PeerService: PeerDirectory {
    /// Time between two looks at whether enough peers are connected; up to a quarter more, at random.
    private nonisolated static let interval = Duration.seconds(1)
    /// Time between two rounds of asking for peers; up to a quarter more, at random.
    private nonisolated static let exchangeInterval = (
        usually: Duration.seconds(60), inNeed: Duration.seconds(10)
    )
    /// How long a node may be without peers before it warns, and again each time.
    private nonisolated static let loneliness = Duration.seconds(60)
    /// Peers of another genesis that the log names at once; after that one a minute.
    nonisolated static let namedAtOnce = 8
    /// Peers asked in a round: more while peers are missing.
    private nonisolated static let asked = (usually: 1, inNeed: 4)

    /// Who decides what on the chain at the moment.
    struct Membership: Equatable {
        var role: PeerPlanner.Role
        var leader: PeerID?
        var validators: [PeerID]
    }

    private let context: NodeContext
    private let store: PeerStore
    private let genesisHash: Hash
    /// Peers of another genesis that the log has named lately, and how many more it names: identities cost nothing.
    private var namesakes = FadingCounts<PeerID>(forgiven: DialPlan.avoided, capacity: 64)
    private var namings = RateLimiter<Hash>(burst: PeerService.namedAtOnce, interval: .seconds(60))
    private var planner: PeerPlanner
    private var pending: [PeerPlanner.Event] = []
    private var isDraining = false
    private var known: Membership?
    private var ready: OrderedSet<PeerID> = []
    private var timer: Timer?
    private var exchangeTimer: Timer?
    private var isStopped = false
    private var isolation = Isolation()
    /// When being without peers is worth a warning, and why the last dial failed.
    private var warnAt = Duration.zero
    private var lastFailure: String?

    /// A peer of this chain has told what it speaks.
    var onReady: ((PeerID) -> Void)?
    /// Such a peer has told which process it is.
    var onProcess: ((PeerID, ProcessID) -> Void)?
    /// A peer has no connection any more, whether it was ready or not.
    var onGone: ((PeerID) -> Void)?
    /// Asked for what the chain says now.
    var membership: () -> Membership = { Membership(role: .sentry, leader: nil, validators: []) }

    init(_ context: NodeContext) throws {
        self.context = context
        store = context.host.configuration.peerStore
        genesisHash = context.genesis.hash
        let rules = try PeerRules(context.configuration.p2p, own: context.host.peerID)
        planner = PeerPlanner(rules, seed: Reactor.random())
    }

    var peerCount: Int { ready.count }

    /// Why this node cannot tell whether it is behind; nil while it can.
    func isolation(makesBlocksAlone: Bool) -> String? {
        isolation.reason(makesBlocksAlone: makesBlocksAlone, now: Reactor.now)
    }

    /// Serves discovery, takes over the admission of peers and begins to dial.
    func start() {
        let host = context.host
        let discovery = DiscoveryProtocol(self, host: host)
        host.setStreamHandler(KwilProtocol.discovery) { await discovery.serve($0) }
        host.advertise(KwilProtocol.chain(context.genesis.chainID))
        host.advertise(KwilProtocol.genesis(genesisHash))
        host.connectionGater = { [weak self] in self?.admits($0) ?? true }
        host.isTrusted = { [weak self] peer in
            guard let self else { return false }
            return planner.standing(of: peer) != .stranger
        }
        host.observe { [weak self] in self?.observe($0) }
        chainChanged()
        warnAt = Reactor.now + Self.loneliness
        tick()
        exchange()
    }

    /// Makes no more connections and asks for no more peers.
    func stop() {
        isStopped = true
        timer?.cancel()
        exchangeTimer?.cancel()
    }

    /// Writes the address book a last time, the host's connections having ended.
    func saveBook() async {
        do {
            try await store.close()
        } catch {
            context.log.warning("address book not saved", ["reason": .error(error)])
        }
    }

    /// Brings role, leader and validators up to date; to be called when they may have changed.
    func chainChanged() {
        let now = membership()
        guard now != known else { return }
        known = now
        feed(.membership(now.role, leader: now.leader, validators: now.validators))
        lookAround()
    }

    /// A peer has shown a block of this chain that this node did not have.
    func proved(_ peer: PeerID) {
        guard planner.links[peer] != nil else { return }
        isolation.proved(peer)
        lookAround()
    }

    private func lookAround() {
        isolation.members(ready, isKnown: { planner.standing(of: $0) > .stranger }, now: Reactor.now)
    }

    /// Who a peer is to this node.
    func rank(of peer: PeerID) -> PeerRank { planner.rank(of: peer) }

    /// Keeps a peer or a network out from now on.
    func block(_ entry: BlockList.Entry) { feed(.block(entry)) }

    /// Ends a block; a ban for misbehaviour goes on.
    func unblock(_ entry: BlockList.Entry) { feed(.unblock(entry)) }

    // MARK: Planner

    private func feed(_ event: PeerPlanner.Event) {
        pending.append(event)
        guard !isDraining else { return }
        isDraining = true
        defer { isDraining = false }
        var actions: [PeerPlanner.Action] = []
        while !pending.isEmpty {
            planner.handle(pending.removeFirst(), now: Reactor.now, actions: &actions)
            for action in actions { perform(action) }
            actions.removeAll(keepingCapacity: true)
        }
    }

    private func perform(_ action: PeerPlanner.Action) {
        switch action {
        case .dial(let peer, let addresses): dial(peer, addresses)
        case .disconnect(let peer, let reason, let offence): disconnect(peer, reason, offence)
        case .banned(let peer, let time, let offence):
            context.log.warning(
                "peer banned",
                [
                    "peer": .of(peer), "seconds": .number(time.components.seconds),
                    "reason": .text(offence.explanation),
                ])
        case .forget(let peer): store.remove(peer)
        }
    }

    private func disconnect(_ peer: PeerID, _ reason: PeerPlanner.Reason, _ offence: Misbehaviour? = nil) {
        context.log.info(
            "disconnecting", ["peer": .of(peer), "reason": .text(offence?.explanation ?? reason.rawValue)])
        context.host.disconnect(peer)
    }

    private func dial(_ peer: PeerID, _ addresses: [Multiaddr]) {
        Reactor.spawn {
            do throws(LibP2PError) {
                try await self.context.host.connect(peer, addresses, backsOff: false)
                self.lastFailure = nil
                self.feed(.dialed(peer))
            } catch {
                self.lastFailure = "\(error)"
                self.context.log.debug("dial failed", ["peer": .of(peer), "reason": .error(error)])
                self.feed(.dialFailed(peer, lacksAddress: error == .noAddress(peer)))
            }
        }
    }

    private func tick() {
        chainChanged()
        warnIfAlone()
        let candidates =
            switch planner.interest {
            case .nobody: [PeerPlanner.Candidate]()
            case .some(let peers): peers.compactMap { store.record(of: $0).flatMap(candidate) }
            case .everybody: store.all.compactMap(candidate)
            }
        feed(.tick(candidates))
        timer = Reactor.schedule(after: jittered(Self.interval)) { [weak self] in self?.tick() }
    }

    /// A node that nobody answers is most often wrongly configured: its bootnode may be full, private or the leader.
    private func warnIfAlone() {
        if !ready.isEmpty { warnAt = Reactor.now + Self.loneliness }
        guard Reactor.now >= warnAt, !planner.rules.kept.isEmpty else { return }
        warnAt = Reactor.now + Self.loneliness
        context.log.warning(
            "no node of this chain is connected",
            [
                "tried": .text(planner.rules.kept.keys.map(\.description).joined(separator: " ")),
                "last": .text(lastFailure ?? "connected, and sent away"),
            ])
    }

    private func candidate(_ record: PeerRecord) -> PeerPlanner.Candidate? {
        guard let first = record.addresses.first else { return nil }
        return PeerPlanner.Candidate(peer: record.peer, isVerified: record.isVerified, ip: first.address.ip)
    }

    private func jittered(_ time: Duration) -> Duration {
        time + time / 4 * Int(Reactor.random() % 1_024) / 1_024
    }

    // MARK: Connections

    /// Judges a connection about to be made, for the host.
    private func admits(_ candidate: ConnectionCandidate) -> Bool {
        let (now, ip) = (Reactor.now, candidate.address?.ip)
        guard let peer = candidate.peer else { return planner.admits(ip, now: now) }
        switch planner.admits(peer, ip, candidate.direction, now: now) {
        case .success(let victim):
            if let victim, candidate.isProven { disconnect(victim, .room) }
            return true
        case .failure(let reason):
            context.log.debug("connection refused", ["peer": .of(peer), "reason": .text(reason.rawValue)])
            return false
        }
    }

    private func observe(_ event: HostEvent) {
        switch event {
        case .connected(let peer, let direction):
            feed(.connected(peer, direction, context.host.remoteAddress(of: peer)?.ip))
        case .identified(let peer, let info): identified(peer, info)
        case .disconnected(let peer, let reason):
            feed(.disconnected(peer))
            isolation.left(peer)
            defer { onGone?(peer) }
            guard ready.remove(peer) != nil else { return }
            lookAround()
            context.log.info("peer disconnected", ["peer": .of(peer), "reason": .of(reason)])
        case .misbehaved(let peer, let what): feed(.misbehaved(peer, what))
        }
    }

    private func identified(_ peer: PeerID, _ info: IdentifyInfo) {
        let traits = PeerTraits(info.protocols)
        let kind: PeerPlanner.Kind =
            switch traits.chainID {
            case nil: .guest
            case _ where traits.isCrawler: .guest
            case context.genesis.chainID:
                traits.genesis.map { $0 == genesisHash } ?? true ? .member : .namesake
            default: .foreign
            }
        feed(.identified(peer, kind))
        if kind == .namesake, let other = traits.genesis { metNamesake(peer, other) }
        if kind == .foreign { isolation.met(foreign: "of the chain \(traits.chainID ?? "")") }
        guard kind == .member, let link = planner.links[peer], link.visitEnd == nil else { return }
        if let process = traits.process { onProcess?(peer, process) }
        guard ready.append(peer) else { return }
        lookAround()
        context.log.info("peer connected", ["peer": .of(peer), "agent": .text(info.agentVersion)])
        onReady?(peer)
        // A newcomer's peers matter as long as there are hardly more to choose from than are wanted.
        if isInNeed, store.count <= 2 * context.configuration.p2p.targetConnections { ask(peer) }
    }

    /// Nothing that it says can be of use, and what it sends could be taken for this chain's.
    private func metNamesake(_ peer: PeerID, _ other: Hash) {
        isolation.met(foreign: "of a chain with the same ID and another genesis, \(other)")
        guard namesakes.count(of: peer, now: Reactor.now) == 0,
            namings.allows(genesisHash, now: Reactor.now)
        else { return }
        namesakes.add(1, to: peer, now: Reactor.now)
        context.log.warning(
            "a peer's chain has the same ID and another genesis: one of the two nodes has the wrong genesis.json",
            ["peer": .of(peer), "own": .of(genesisHash), "other": .of(other)])
    }

    // MARK: Peer exchange

    private var isInNeed: Bool { ready.count < context.configuration.p2p.targetConnections }

    private func exchange() {
        let (asked, interval) = (Self.asked, Self.exchangeInterval)
        var generator = SeededGenerator(seed: Reactor.random())
        for peer in generator.choose(isInNeed ? asked.inNeed : asked.usually, of: Array(ready)) { ask(peer) }
        exchangeTimer = Reactor.schedule(after: jittered(isInNeed ? interval.inNeed : interval.usually)) {
            [weak self] in self?.exchange()
        }
    }

    private func ask(_ peer: PeerID) {
        guard context.configuration.p2p.pex, !isStopped else { return }
        Reactor.spawn {
            do throws(ProtocolsError) {
                let told = try await DiscoveryProtocol.request(
                    from: peer, chainID: self.chainID, on: self.context.host)
                self.learn(told, from: peer)
            } catch {
                if error.isMisbehaviour { self.context.host.report(peer, .malformed) }
            }
        }
    }

    private func learn(_ told: [DiscoveredPeer], from teller: PeerID) {
        let place = context.host.remoteAddress(of: teller)?.ip
        for peer in planner.believed(told, from: place, now: Reactor.now) {
            store.add(peer.addresses, for: peer.id, toldBy: teller)
            feed(.learned(peer.id))
        }
    }

    var chainID: String { context.genesis.chainID }

    func peers(toTell asker: PeerID) -> [DiscoveredPeer]? {
        guard context.configuration.p2p.pex else { return nil }
        let all = ready.map {
            DiscoveredPeer(
                id: $0, addresses: store.addresses(of: $0),
                protocols: context.host.identity(of: $0)?.protocols ?? [])
        }
        return planner.told(
            to: asker, at: context.host.remoteAddress(of: asker)?.ip, of: all, now: Reactor.now)
    }
}

extension PeerService.Membership {
    /// What consensus says; nothing without it.
    init(_ view: ConsensusView?) {
        role =
            switch view?.role {
            case .leader: .leader
            case .validator: .validator
            case .sentry, nil: .sentry
            }
        leader = view?.state.leader?.peerID
        validators = view?.state.validators.keys.map(\.peerID) ?? []
    }
}

extension ResourceLimits {
    /// How many bytes are held for one peer, and for all, on a chain with blocks of so many bytes at most: eight such
    /// blocks and what else is under way of one peer, but no more than 64 MiB unless one block takes that much; eight
    /// such peers, but no more than 512 MiB or two of them.
    static func bytes(forBlocksOf size: Int) -> (perPeer: Int, total: Int) {
        let (small, whole) = (16 << 20, 64 << 20)
        let largest = min(max(size, 0), ChainLimits.blockBytes)
        let perPeer = min(8 * largest + small, max(whole, largest + small))
        return (perPeer, min(8 * perPeer, max(8 * whole, 2 * perPeer)))
    }

    /// Leaves the choice of up to `maximum` peers to the planner: the host has room for as many, for those that must be
    /// heard before they are refused, and for second connections that replace first ones.
    mutating func admitPeers(_ maximum: Int) {
        connections = maximum + pendingInbound + 64
        inboundConnections = maximum + pendingInbound
        limitsLoopback = false
    }
}
