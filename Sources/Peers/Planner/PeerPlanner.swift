import Chain
import Collections
import LibP2P
import Multiformats
import Reactor

/// Decides which peers to dial, admit, disconnect and forget (docs/peers.md). The node's role, the leader and the
/// validators follow the chain.
///
/// A machine: `handle` turns an event into actions, `admits` judges a connection about to be made.
struct PeerPlanner: Machine {
    /// The time between two ticks, plus up to a quarter at random.
    static let interval = Duration.seconds(1)
    /// A peer that has not identified itself after this time is disconnected.
    static let identifyLimit = Duration.seconds(30)
    /// How long a guest may stay: a peer that is served but does not belong to this chain's network.
    static let guestLimit = Duration.seconds(600)
    /// The maximum number of visitors: strangers without a slot, which may stay until they have been told other peers,
    /// so that a newcomer does not depend on a bootnode with free slots.
    static let visitors = 32
    /// How long a visitor may stay.
    static let visitLimit = Duration.seconds(10)
    /// After this time a visitor makes room for the next: time enough to ask.
    static let visitMinimum = Duration.seconds(2)
    /// How long a visitor stays after the answer was sent, so that the answer arrives.
    static let farewell = Duration.seconds(1)
    /// The maximum number of inbound strangers from one IP address (IPv6: one /64), except loopback.
    static let strangersPerAddress = 3
    /// Returns the maximum number of inbound strangers from one public /16 (IPv6: /32): an eighth of the slots, but at
    /// least four.
    static func strangersPerNetwork(of slots: Int) -> Int { max(4, slots / 8) }

    /// A peer's standing, lowest first.
    enum Standing: Comparable { case stranger, validator, named }

    /// The kind of a connected peer, from what it advertises.
    enum Kind: Comparable {
        /// It has not identified itself yet.
        case unknown
        /// A crawler, or a host without a chain.
        case guest
        /// A node of this chain.
        case member
        /// A node of another chain.
        case foreign
        /// A node of a chain with the same ID and another genesis.
        case namesake
    }

    /// A peer that could be dialled.
    struct Candidate: Equatable {
        let peer: PeerID
        /// Whether it has answered before.
        let isVerified: Bool
        /// Its address, if known.
        let ip: IP?
    }

    enum Event: MachineEvent {
        /// The chain now has this leader and these validators, which may include the node itself.
        case membership(RoleName, leader: PeerID?, validators: [PeerID])
        /// The operator has changed the rules.
        case rules(PeerRules)
        case connected(PeerID, Direction, IP?)
        case identified(PeerID, Kind)
        case disconnected(PeerID)
        case dialFailed(PeerID, lacksAddress: Bool)
        case dialed(PeerID)
        /// An address of a peer has become known.
        case learned(PeerID)
        case misbehaved(PeerID, Misbehaviour)
        /// Answer to `survey`: the address book holds these candidates.
        case tick([Candidate])
        /// `deadline` has passed.
        case timer
    }

    enum Action: Equatable {
        case dial(PeerID, [Multiaddr])
        case disconnect(PeerID, Reason, Misbehaviour? = nil)
        case banned(PeerID, Duration, Misbehaviour)
        case forget(PeerID)
        /// Look up in the address book whom to dial: `tick`.
        case survey(Interest)
    }

    /// Why a connection is refused or ended.
    enum Reason: String, Error {
        case blocked = "it is on the block list"
        case banned = "it is banned"
        case misbehaved = "it misbehaved"
        case notNamed = "only named peers and validators are admitted"
        case leader = "the leader admits only validators and named peers"
        case full = "there is no free slot"
        case crowded = "too many peers are connected from its address or network"
        case silent = "it did not identify itself"
        case guest = "its time as a guest is over"
        case foreign = "it belongs to another chain"
        case namesake = "its chain has the same ID and another genesis"
        case room = "its slot is needed"
    }

    struct Link {
        let direction: Direction
        let ip: IP?
        let since: Duration
        var kind = Kind.unknown
        /// When a peer without a slot, or of another genesis, must leave.
        var visitEnd: Duration?
    }

    var rules: PeerRules
    private(set) var role = RoleName.sentry
    private(set) var leader: PeerID?
    /// The validators without this node.
    private(set) var validators: OrderedSet<PeerID> = []
    private(set) var links: OrderedDictionary<PeerID, Link> = [:]
    var dials = DialPlan()
    private(set) var conduct = PeerConduct()
    var askers = RateLimiter<PeerID>(burst: PeerPlanner.answersAtOnce, interval: PeerPlanner.answerInterval)
    var random: SeededGenerator
    /// When the next tick is due.
    private(set) var deadline: Duration?

    init(_ rules: PeerRules, seed: UInt64) {
        self.rules = rules
        random = SeededGenerator(seed: seed)
    }

    // MARK: Standing and slots

    func standing(of peer: PeerID) -> Standing {
        if rules.named.contains(peer) { return .named }
        return validators.contains(peer) || peer == leader ? .validator : .stranger
    }

    /// Returns whether to keep a peer connected. A sentry without a validator, perhaps because the leader disconnected
    /// it, wants any validator but the leader, which would refuse.
    func isWanted(_ peer: PeerID) -> Bool {
        if rules.kept[peer] != nil { return true }
        guard standing(of: peer) == .validator else { return false }
        return role != .sentry || peer != leader && !links.keys.contains { standing(of: $0) == .validator }
    }

    /// Whether strangers are admitted. A leader without another validator admits them, since no other node could relay
    /// its blocks.
    var admitsStrangers: Bool { !rules.isPrivate && (role != .leader || validators.isEmpty) }

    /// The number of slots for strangers: what validators and named peers leave, but at least a quarter of all.
    var strangerSlots: Int {
        guard admitsStrangers else { return 0 }
        let others = rules.named.count + validators.count { !rules.named.contains($0) }
        return max(rules.maximum - others, rules.maximum / 4, 1)
    }

    /// The number of slots for inbound strangers; the others are for strangers that this node dials.
    var inboundStrangerSlots: Int {
        let slots = strangerSlots
        return slots - min(rules.target, slots / 2)
    }

    /// The connected strangers with a slot.
    var strangers: [PeerID] {
        links.lazy.filter { $0.value.visitEnd == nil }.map(\.key).filter {
            standing(of: $0) == .stranger
        }
    }

    /// The number of connections with a slot.
    var residents: Int { links.values.count { $0.visitEnd == nil } }

    /// Returns whether there is a slot for a stranger with a connection of this direction.
    private func hasSlot(_ direction: Direction) -> Bool {
        let strangers = strangers
        guard strangers.count < strangerSlots, residents < rules.maximum else { return false }
        return direction == .outbound
            || strangers.count { links[$0]?.direction == .inbound } < inboundStrangerSlots
    }

    /// Judges an inbound stranger for which no slot is free. It may visit to be told other peers; the result is a
    /// visitor that it replaces, or nil.
    private func admitsVisitor(now: Duration) -> Result<PeerID?, Reason> {
        guard rules.tellsPeers else { return .failure(.full) }
        let visitors = links.filter { $0.value.visitEnd != nil }
        guard visitors.count >= Self.visitors else { return .success(nil) }
        guard let oldest = visitors.min(by: { $0.value.since < $1.value.since }),
            now - oldest.value.since >= Self.visitMinimum
        else { return .failure(.full) }
        return .success(oldest.key)
    }

    // MARK: Admission

    /// Returns whether a connection from an address may begin its handshake.
    func admits(_ ip: IP?, now: Duration) -> Bool {
        guard let ip else { return true }
        guard !rules.blocked.contains(ip) else { return false }
        return !conduct.isBanned(ip, now: now) || isShared(ip)
    }

    /// Returns whether a validator or named peer is connected from an address.
    private func isShared(_ ip: IP) -> Bool {
        links.contains { $0.value.ip == ip && standing(of: $0.key) > .stranger }
    }

    /// Returns why there may be no connection with a peer, even if a slot is free; nil if there may.
    func objection(to peer: PeerID, _ ip: IP?, now: Duration) -> Reason? {
        if rules.blocked.contains(peer) || rules.blocked.contains(ip) { return .blocked }
        if conduct.isBanned(peer, now: now) { return .banned }
        guard standing(of: peer) == .stranger else { return nil }
        if rules.isPrivate { return .notNamed }
        return admitsStrangers ? nil : .leader
    }

    /// Judges a connection whose peer is known. The result is a peer to disconnect in its favour, or nil.
    func admits(_ peer: PeerID, _ ip: IP?, _ direction: Direction, now: Duration) -> Result<PeerID?, Reason> {
        if let reason = objection(to: peer, ip, now: now) { return .failure(reason) }
        guard links[peer] == nil else { return .success(nil) }
        guard standing(of: peer) == .stranger else {
            guard residents >= rules.maximum else { return .success(nil) }
            return leastUseful().map { .success($0) } ?? .failure(.full)
        }
        let hasSlot = hasSlot(direction)
        guard direction == .inbound else { return hasSlot ? .success(nil) : .failure(.full) }
        if isCrowded(ip) { return .failure(.crowded) }
        return hasSlot ? .success(nil) : admitsVisitor(now: now)
    }

    /// Returns whether as many strangers as allowed are connected from an address or its network.
    private func isCrowded(_ ip: IP?) -> Bool {
        guard let ip, !ip.isLoopback else { return false }
        let others = links.lazy.filter {
            $0.value.direction == .inbound && standing(of: $0.key) == .stranger
        }.compactMap(\.value.ip)
        if others.count(where: { $0.place == ip.place }) >= Self.strangersPerAddress { return true }
        return ip.scope == .global
            && others.count { $0.neighbourhood == ip.neighbourhood }
                >= Self.strangersPerNetwork(of: inboundStrangerSlots)
    }

    /// Returns the least useful stranger: one that is no member, then one that dialled, then the newest.
    private func leastUseful() -> PeerID? {
        strangers.min { left, right in
            guard let left = links[left], let right = links[right] else { return false }
            if left.kind != right.kind { return left.kind < right.kind }
            if left.direction != right.direction { return left.direction == .inbound }
            return left.since > right.since
        }
    }

    // MARK: Events

    /// Handles an event and appends the resulting actions.
    mutating func handle(_ event: Event, at now: Instant, actions: inout [Action]) {
        let now = now.elapsed
        switch event {
        case .membership(let role, let leader, let validators):
            self.role = role
            self.leader = leader == rules.own ? nil : leader
            self.validators = OrderedSet(validators)
            self.validators.remove(rules.own)
            reconsider(now, &actions)
        case .rules(let rules):
            self.rules = rules
            reconsider(now, &actions)
        case .connected(let peer, let direction, let ip):
            guard links[peer] == nil else { return }
            let isVisitor = standing(of: peer) == .stranger && direction == .inbound && !hasSlot(direction)
            links[peer] = Link(
                direction: direction, ip: ip, since: now, visitEnd: isVisitor ? now + Self.visitLimit : nil)
        case .identified(let peer, let kind): identified(peer, kind, now, &actions)
        case .disconnected(let peer):
            guard let link = links.removeValue(forKey: peer) else { return }
            dials.ended(peer, after: now - link.since, isWanted: isWanted(peer), now: now, &random)
            if link.kind == .namesake { dials.avoid(peer, now: now) }
        case .dialed(let peer): dials.succeeded(peer)
        case .dialFailed(let peer, let lacksAddress):
            dials.failed(peer, lacksAddress: lacksAddress, isWanted: isWanted(peer), now: now, &random)
            if dials.isDead(peer, now: now) { forget(peer, &actions) }
        case .learned(let peer): dials.learned(peer, now: now)
        case .misbehaved(let peer, let what): misbehaved(peer, what, now, &actions)
        case .tick(let candidates):
            sendAway(now, &actions)
            dial(candidates, now, &actions)
        case .timer:
            deadline = now + Self.interval + (Self.interval / 4).part(random.next())
            actions.append(.survey(interest))
        }
    }

    /// Throws if the state is inconsistent.
    func checkInvariants() throws(BrokenInvariant) {
        try BrokenInvariant.check(
            dials.running.count <= Self.dialsAtOnce, "\(dials.running.count) dials are in progress")
        try BrokenInvariant.check(
            links[rules.own] == nil && !validators.contains(rules.own), "the node counts itself as a peer")
        let visitors = links.values.count { $0.visitEnd != nil && $0.kind != .namesake }
        // A visitor that makes room leaves only once its connection has ended.
        try BrokenInvariant.check(visitors <= 2 * Self.visitors, "\(visitors) visitors are connected")
    }

    /// Ends connections that the rules no longer allow, and frees slots that strangers may no longer have.
    private mutating func reconsider(_ now: Duration, _ actions: inout [Action]) {
        var leaving: OrderedSet<PeerID> = []
        for (peer, link) in links {
            guard let reason = objection(to: peer, link.ip, now: now) else { continue }
            leaving.append(peer)
            actions.append(.disconnect(peer, reason))
        }
        let staying = strangers.filter { !leaving.contains($0) }
        let ranked = staying.sorted { left, right in
            guard let left = links[left], let right = links[right] else { return false }
            return left.since > right.since
        }
        for peer in ranked.prefix(max(0, staying.count - strangerSlots)) {
            actions.append(.disconnect(peer, .room))
        }
    }

    private mutating func identified(
        _ peer: PeerID, _ kind: Kind, _ now: Duration, _ actions: inout [Action]
    ) {
        guard links[peer] != nil else { return }
        links[peer]?.kind = kind
        // It is disconnected once it has had time to notice the same.
        if kind == .namesake { links[peer]?.visitEnd = now + Self.farewell }
        guard kind == .foreign else { return }
        actions.append(.disconnect(peer, .foreign))
        forget(peer, &actions)
    }

    private mutating func misbehaved(
        _ peer: PeerID, _ what: Misbehaviour, _ now: Duration, _ actions: inout [Action]
    ) {
        let isTrusted = standing(of: peer) > .stranger
        let ip = links[peer]?.ip
        let isAlone = ip.map { ip in links.count { $0.value.ip == ip } <= 1 } ?? false
        let verdict = conduct.report(peer, what, isTrusted: isTrusted, ip: isAlone ? ip : nil, now: now)
        switch verdict {
        case .tolerated: return
        case .disconnected: break
        case .banned(let time):
            actions.append(.banned(peer, time, what))
            forget(peer, &actions)
        }
        if links[peer] != nil { actions.append(.disconnect(peer, .misbehaved, what)) }
    }

    /// Disconnects peers whose time is up: visitors, guests and peers that have not identified themselves.
    private func sendAway(_ now: Duration, _ actions: inout [Action]) {
        for (peer, link) in links {
            if let end = link.visitEnd {
                if now >= end {
                    actions.append(.disconnect(peer, link.kind == .namesake ? .namesake : .full))
                }
                continue
            }
            switch link.kind {
            case .unknown where now - link.since >= Self.identifyLimit:
                actions.append(.disconnect(peer, .silent))
            case .guest where now - link.since >= Self.guestLimit: actions.append(.disconnect(peer, .guest))
            default: break
            }
        }
    }

    /// Notes that a peer has been told other peers. A visitor may leave now.
    mutating func hasBeenTold(_ peer: PeerID, now: Duration) {
        if let end = links[peer]?.visitEnd { links[peer]?.visitEnd = min(end, now + Self.farewell) }
    }

    /// Forgets a stranger. Validators and named peers are never forgotten.
    private mutating func forget(_ peer: PeerID, _ actions: inout [Action]) {
        guard standing(of: peer) == .stranger else { return }
        dials.forget(peer)
        actions.append(.forget(peer))
    }
}

extension IP {
    /// The network that one operator is likely to own.
    var neighbourhood: IPNetwork { network(isIPv6 ? 32 : 16) }
}
