import Crypto
import Log
import Multiformats
import Reactor

/// A peer with at least one connection.
@ReactorActor
final class PeerState {
    /// The connection for new streams; nil while none is open.
    var primary: Connection?
    /// All connections, oldest first, including draining ones.
    var connections: [Connection] = []
    /// What the peer has told about itself by identify.
    var info: IdentifyInfo?
    /// The hash of the message with `info`.
    var infoHash: Hash?
    /// The number of bytes held for the peer: unread, or gathered by a read that has not returned.
    var held = 0
    /// The credit left for the cost of the peer's messages.
    var credit: MessageCredit
    /// The share of the reactor's time that the messages in its streams have taken.
    var work = WorkShare()
    /// Whether identify is due again, because the peer pushed more often than this host accepts.
    var isToBeAsked = false
    /// The tasks that wait for `info` or for the peer to disconnect.
    let identifying = WaitQueue()

    init(creditPerSecond: Int) { credit = MessageCredit(perSecond: creditPerSecond, now: Reactor.now) }
}

/// The lifetime of connections: how they are accepted, chosen and ended.
extension Host {
    /// Two connections with one peer made within this time come from simultaneous dials; a later one means that the
    /// peer has lost the earlier one.
    nonisolated static let simultaneousDials: Duration = .seconds(10)

    // MARK: Coming

    /// Takes an inbound connection.
    func accepted(_ tcp: TCPConnection) {
        let ip = tcp.remoteAddress.ip
        guard phase == .running else { return tcp.abort() }
        if let reason = refusal(of: tcp.remoteAddress) {
            metrics.failedHandshakes[reason].add()
            return tcp.abort()
        }
        connectionCount += 1
        inboundCount += 1
        inboundByIP[ip, default: 0] += 1
        lastUpgrade += 1
        let number = lastUpgrade
        do {
            upgrades[number] = try upgrade(tcp, dialing: false, expecting: nil) { result in
                self.upgrades[number] = nil
                do throws(LibP2PError) {
                    try self.established(tcp, isInbound: true, try result.get())
                } catch {
                    self.metrics.failedHandshakes[HandshakeFailure(error)].add()
                    self.log.debug(
                        "inbound connection refused",
                        ["address": .of(tcp.remoteAddress), "reason": .error(error)])
                    self.countInboundEnd(tcp)
                    tcp.close()
                }
            }
        } catch {
            countInboundEnd(tcp)
            tcp.abort()
        }
    }

    /// Returns why an inbound connection may not begin its handshake; nil if it may.
    private func refusal(of address: SocketAddress) -> HandshakeFailure? {
        guard connectionCount < limits.connections, inboundCount < limits.inboundConnections,
            mayCome(from: address.ip)
        else { return .limit }
        guard mayConnect(.inbound, address, nil) else { return .refused }
        return makeRoomForHandshake() ? nil : .limit
    }

    /// Whether the limits by IP address allow one more connection.
    private func mayCome(from ip: IP) -> Bool {
        guard limits.limitsLoopback || !ip.isLoopback else { return true }
        guard inboundByIP[ip, default: 0] < limits.connectionsPerIP else { return false }
        let network = ip.place
        let pending = upgrades.values.count { $0.network == network }
        return pending < limits.pendingPerIP && inboundRate.allows(network, now: Reactor.now)
    }

    /// Whether one more handshake may begin. At the limit the oldest is cancelled if it has had its fair time, so that
    /// peers that begin handshakes and abandon them cannot keep others out.
    private func makeRoomForHandshake() -> Bool {
        guard upgrades.count >= limits.pendingInbound else { return true }
        guard let oldest = upgrades.keys.min(), let upgrade = upgrades[oldest],
            Reactor.now - upgrade.startedAt >= limits.fairHandshake
        else { return false }
        upgrade.cancel(.limitReached("handshakes"))
        return true
    }

    /// Starts the upgrade of a connection.
    func upgrade(
        _ tcp: TCPConnection, dialing: Bool, expecting peer: PeerID?,
        completion: @escaping ConnectionUpgrade.Completion
    ) throws(LibP2PError) -> ConnectionUpgrade {
        guard let security else { throw .notRunning }
        let machine = SecurityUpgrade(
            security, dialing: dialing, expectedPeer: peer, ephemeral: try configuration.noiseKeys(),
            pool: frames)
        return ConnectionUpgrade(tcp, machine, completion: completion)
    }

    /// Takes an upgraded connection. Throws if it is refused; the caller then closes it.
    func established(
        _ tcp: TCPConnection, isInbound: Bool, _ outcome: SecurityUpgrade.Outcome
    ) throws(LibP2PError) {
        let peer = outcome.remotePeer
        guard phase == .running else { throw .notRunning }
        guard mayConnect(isInbound ? .inbound : .outbound, tcp.remoteAddress, peer, isProven: true) else {
            throw .refused
        }
        guard peers[peer]?.connections.count ?? 0 < limits.connectionsPerPeer else {
            throw .limitReached("connections with one peer")
        }
        let state = peers[peer] ?? PeerState(creditPerSecond: limits.messageCredit)
        let connection = Connection(host: self, tcp: tcp, isInbound: isInbound, outcome: outcome, of: state)
        metrics.handshakes[isInbound ? .inbound : .outbound].add()
        let isFirst = peers[peer] == nil
        peers[peer] = state
        state.connections.append(connection)
        openSockets += 1
        let former = state.primary
        if former == nil || former.map({ isPreferred(connection, over: $0) }) == true {
            state.primary = connection
        }
        connection.start(leftover: outcome.leftover)
        if let former { (state.primary === connection ? former : connection).drain() }
        log.debug(
            "connected",
            ["peer": .of(peer), "address": .of(tcp.remoteAddress), "inbound": .flag(isInbound)])
        if isFirst { emit(.connected(peer, isInbound ? .inbound : .outbound)) }
        if state.primary === connection { identify(connection) }
    }

    /// Whether a new connection replaces the primary one. Both hosts decide alike: of two simultaneous dials, the
    /// connection that the smaller peer ID dialled stays.
    private func isPreferred(_ new: Connection, over old: Connection) -> Bool {
        guard new.isInbound != old.isInbound, new.openedAt - old.openedAt < Self.simultaneousDials else {
            return true
        }
        let dialer = new.isInbound ? new.remotePeer : peerID
        let other = new.isInbound ? peerID : new.remotePeer
        return dialer < other
    }

    /// Whether the gater lets a connection be made.
    func mayConnect(
        _ direction: Direction, _ address: SocketAddress, _ peer: PeerID?, isProven: Bool = false
    ) -> Bool {
        guard let gater = configuration.connectionGater else { return true }
        return gater.admits(
            ConnectionCandidate(
                direction: direction, address: address.multiaddr, peer: peer, isProven: isProven))
    }

    // MARK: Going

    /// Replaces a primary connection that opens no more streams.
    func connectionDraining(_ connection: Connection) {
        guard let state = peers[connection.remotePeer], state.primary === connection else { return }
        state.primary = state.connections.last(where: \.isOpen)
    }

    /// Forgets a connection that is being closed, and whose streams have failed.
    func connectionEnded(_ connection: Connection, _ reason: LibP2PError) {
        let peer = connection.remotePeer
        log.debug("connection ended", ["peer": .of(peer), "reason": .of(reason)])
        if connection.isInbound { countInboundEnd(connection.tcp) } else { connectionCount -= 1 }
        guard let state = peers[peer] else { return }
        state.connections.removeAll { $0 === connection }
        if state.primary === connection { state.primary = state.connections.last(where: \.isOpen) }
        if state.connections.isEmpty {
            peers[peer] = nil
            state.identifying.wakeAll()
            configuration.peerStore.noteSeen(peer)
            emit(.disconnected(peer, reason))
        }
    }

    /// Notes that a connection's socket is closed.
    func socketClosed() {
        openSockets -= 1
        if openSockets == 0 { stopping.wakeAll() }
    }

    private func countInboundEnd(_ tcp: TCPConnection) {
        connectionCount -= 1
        inboundCount -= 1
        let ip = tcp.remoteAddress.ip
        inboundByIP[ip] = inboundByIP[ip].flatMap { $0 > 1 ? $0 - 1 : nil }
    }
}
