import Chain
import Collections
import Crypto
import LibP2P
import Log
import Metrics
import Multiformats
import Protocols
import Reactor

/// A change in a peer's connections, for the other services of the node.
package enum PeerEvent: Sendable {
    /// A peer of this chain has identified itself.
    case ready(PeerID)
    /// A peer of this chain has sent its process ID. Precedes `ready`.
    case identified(PeerID, ProcessID)
    /// A peer's last connection has ended, whether or not the peer was ready.
    case gone(PeerID)
}

/// Drives the peer planner: passes it events of connections, dials and disconnects as it decides, exchanges peers and
/// keeps the address book (docs/peers.md).
@ReactorActor
package final class PeerService: Service {
    /// How long a node may be without peers before it warns, and the time between two such warnings.
    private nonisolated static let loneliness = Duration.seconds(60)
    /// The number of peers of another genesis that are logged at once, and then one per minute.
    package nonisolated static let namedAtOnce = 8
    /// The maximum number of strangers without a slot.
    package nonisolated static let visitors = PeerPlanner.visitors

    /// Changes in peers' connections.
    package let events = EventChannel<PeerEvent>()

    let host: Host
    package let chainID: String
    let store: PeerStore
    let log: Log
    private let genesisHash: Hash
    private let bans: Counter
    /// Peers of another genesis that were logged lately, and a limit on further ones, since identities cost nothing.
    private var namesakes = FadingCounts<PeerID>(forgiven: DialPlan.avoided, capacity: 64)
    private var namings = RateLimiter<Hash>(burst: PeerService.namedAtOnce, interval: .seconds(60))
    let driver: ReactorMachineDriver<PeerPlanner>
    private var membership: Membership
    private(set) var ready: OrderedSet<PeerID> = []
    var exchangeTimer: Timer?
    private(set) var isStopped = false
    private var isolation = Isolation()
    /// When to warn that no peer is connected, and why the last dial failed.
    private var warnAt = Duration.zero
    private var lastFailure: String?

    /// Creates a service that `run` starts. `gate` is the host's, `membership` the chain's current one, and `bans` counts
    /// bans.
    package init(
        host: Host, gate: PeerGate, genesis: Genesis, membership: Membership, bans: Counter = Counter(),
        log: Log
    ) {
        self.bans = bans
        self.host = host
        self.log = log
        self.membership = membership
        store = host.configuration.peerStore
        chainID = genesis.chainID
        genesisHash = genesis.hash
        driver = gate.driver
    }

    /// Serves discovery, dials, and exchanges peers until cancelled.
    package func run() async throws {
        serve()
        follow(membership)
        warnAt = Reactor.now + Self.loneliness
        driver.start { [weak self] in self?.perform($0) }
        exchange()
        defer {
            isStopped = true
            driver.stop()
            exchangeTimer?.cancel()
            events.finish()
        }
        try await ServiceEnd().wait()
    }

    private func serve() {
        host.register(DiscoveryProtocol(self, host: host))
        host.advertise(KwilProtocol.chain(chainID))
        host.advertise(KwilProtocol.genesis(genesisHash))
        host.observe { [weak self] in self?.observe($0) }
    }

    // MARK: Questions

    /// The state of the planner.
    var planner: PeerPlanner { driver.machine }

    /// The connected peers of this chain, and who dialled.
    package var directions: [(id: PeerID, direction: Direction)] {
        ready.compactMap { peer in planner.links[peer].map { (peer, $0.direction) } }
    }

    /// The number of connected peers of this chain.
    package var peerCount: Int { ready.count }

    /// Returns why this node cannot tell whether it lags; nil while it can.
    package func isolation(makesBlocksAlone: Bool) -> String? {
        isolation.reason(makesBlocksAlone: makesBlocksAlone, now: Reactor.now)
    }

    /// Returns a peer's rank under the validators of the tip.
    package func rank(of peer: PeerID) -> PeerRank { planner.rank(of: peer) }

    /// Returns whether a peer ranks above strangers.
    package func trusts(_ peer: PeerID) -> Bool { rank(of: peer) != .stranger }

    /// Returns whether a peer is the leader.
    package func follows(_ peer: PeerID) -> Bool { membership.leader == peer }

    // MARK: Chain and operator

    /// Follows a change of role, leader or validators.
    package func follow(_ membership: Membership) {
        self.membership = membership
        driver.submit(
            .membership(membership.role, leader: membership.leader, validators: membership.validators))
        updateIsolation()
    }

    /// Follows the operator's new rules: ends connections that they forbid, and dials the peers that they name.
    package func follow(_ rules: PeerRules) {
        driver.submit(.rules(rules))
        updateIsolation()
    }

    /// Notes that a peer has sent or announced a block of this chain that this node lacked.
    package func proved(_ peer: PeerID) {
        guard planner.links[peer] != nil else { return }
        isolation.proved(peer)
        updateIsolation()
    }

    private func updateIsolation() {
        isolation.members(ready, isKnown: { planner.standing(of: $0) > .stranger }, now: Reactor.now)
    }

    // MARK: Planner

    private func perform(_ action: PeerPlanner.Action) {
        switch action {
        case .dial(let peer, let addresses): dial(peer, addresses)
        case .disconnect(let peer, let reason, let offence): disconnect(peer, reason, offence)
        case .banned(let peer, let time, let offence):
            bans.add()
            log.warning(
                "peer banned",
                [
                    "peer": .of(peer), "seconds": .number(time.components.seconds),
                    "reason": .text(offence.explanation),
                ])
        case .forget(let peer): store.remove(peer)
        case .survey(let interest): survey(interest)
        }
    }

    private func disconnect(_ peer: PeerID, _ reason: PeerPlanner.Reason, _ offence: Misbehaviour? = nil) {
        log.info(
            "disconnecting", ["peer": .of(peer), "reason": .text(offence?.explanation ?? reason.rawValue)])
        host.disconnect(peer)
    }

    private func dial(_ peer: PeerID, _ addresses: [Multiaddr]) {
        Reactor.spawn {
            do throws(LibP2PError) {
                try await self.host.connect(peer, addresses, backsOff: false)
                self.lastFailure = nil
                self.driver.submit(.dialed(peer))
            } catch {
                self.lastFailure = "\(error)"
                self.log.debug("dial failed", ["peer": .of(peer), "reason": .error(error)])
                self.driver.submit(.dialFailed(peer, lacksAddress: error == .noAddress(peer)))
            }
        }
    }

    private func survey(_ interest: PeerPlanner.Interest) {
        warnIfAlone()
        let candidates =
            switch interest {
            case .nobody: [PeerPlanner.Candidate]()
            case .some(let peers): peers.compactMap { store.record(of: $0).flatMap(candidate) }
            case .everybody: store.all.compactMap(candidate)
            }
        driver.submit(.tick(candidates))
    }

    /// Warns if no peer of this chain is connected. The usual cause is the configuration: the bootnode may be full,
    /// private or the leader.
    private func warnIfAlone() {
        if !ready.isEmpty { warnAt = Reactor.now + Self.loneliness }
        guard Reactor.now >= warnAt, !planner.rules.kept.isEmpty else { return }
        warnAt = Reactor.now + Self.loneliness
        log.warning(
            "no peer of this chain is connected",
            [
                "tried": .text(planner.rules.kept.keys.map(\.description).joined(separator: " ")),
                "last": .text(lastFailure ?? "connected, then disconnected"),
            ])
    }

    private func candidate(_ record: PeerRecord) -> PeerPlanner.Candidate? {
        guard let first = record.addresses.first else { return nil }
        return PeerPlanner.Candidate(peer: record.peer, isVerified: record.isVerified, ip: first.address.ip)
    }

    func jittered(_ time: Duration) -> Duration {
        time + (time / 4).part(Reactor.random())
    }

    // MARK: Connections

    private func observe(_ event: HostEvent) {
        switch event {
        case .connected(let peer, let direction):
            driver.submit(.connected(peer, direction, host.remoteAddress(of: peer)?.ip))
        case .identified(let peer, let info): identified(peer, info)
        case .disconnected(let peer, let reason):
            driver.submit(.disconnected(peer))
            isolation.left(peer)
            defer { events.send(.gone(peer)) }
            guard ready.remove(peer) != nil else { return }
            updateIsolation()
            log.info("peer disconnected", ["peer": .of(peer), "reason": .of(reason)])
        case .misbehaved(let peer, let what): driver.submit(.misbehaved(peer, what))
        }
    }

    private func identified(_ peer: PeerID, _ info: IdentifyInfo) {
        let traits = PeerTraits(info.protocols)
        let kind: PeerPlanner.Kind =
            switch traits.chainID {
            case nil: .guest
            case _ where traits.isCrawler: .guest
            case chainID:
                traits.genesis.map { $0 == genesisHash } ?? true ? .member : .namesake
            default: .foreign
            }
        driver.submit(.identified(peer, kind))
        if kind == .namesake, let other = traits.genesis { metNamesake(peer, other) }
        if kind == .foreign { isolation.met(foreign: "of the chain \(traits.chainID ?? "")") }
        guard kind == .member, let link = planner.links[peer], link.visitEnd == nil else { return }
        if let process = traits.process { events.send(.identified(peer, process)) }
        guard ready.append(peer) else { return }
        updateIsolation()
        log.info("peer connected", ["peer": .of(peer), "agent": .text(info.agentVersion)])
        events.send(.ready(peer))
        // Ask a new peer only while the address book has few peers to choose from.
        if isInNeed, store.count <= 2 * planner.rules.target { ask(peer) }
    }

    /// Warns of a peer whose chain has the same ID: messages of that chain could be taken for messages of this one.
    private func metNamesake(_ peer: PeerID, _ other: Hash) {
        isolation.met(foreign: "of a chain with the same ID and another genesis, \(other)")
        guard namesakes.count(of: peer, now: Reactor.now) == 0,
            namings.allows(genesisHash, now: Reactor.now)
        else { return }
        namesakes.add(1, to: peer, now: Reactor.now)
        log.warning(
            "a peer's chain has the same ID and another genesis: one of the two nodes has the wrong genesis.json",
            ["peer": .of(peer), "own": .of(genesisHash), "other": .of(other)])
    }
}
