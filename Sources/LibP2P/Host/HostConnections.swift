import Crypto
import Log
import Multiformats
import Reactor

/// A peer with at least one connection.
@ReactorActor
final class PeerState {
    /// The connection that is used; nil while none is open for new streams.
    var primary: Connection?
    /// All connections, oldest first: the one in use and those that are being given up.
    var connections: [Connection] = []
    /// What the peer has told about itself.
    var info: IdentifyInfo?
    /// The hash of the message that said so.
    var infoHash: Hash?
    /// Bytes held for the peer: received and unread, or gathered by a read that is not done.
    var held = 0
    /// What the peer's messages may still cost.
    var credit: MessageCredit
    /// How much of the reactor's time the messages in its streams have taken.
    var work = WorkShare()
    /// Whether it will be asked about itself again, as it has told more often than this host listens.
    var isToBeAsked = false
    /// Who waits for `info`, or for the peer's end.
    let identifying = WaitQueue()

    init(creditPerSecond: Int) { credit = MessageCredit(perSecond: creditPerSecond, now: Reactor.now) }
}

/// How connections come, are chosen and go.
extension Host {
    /// Two connections with one peer that were made within this time come from simultaneous dials; a later one means
    /// that the peer has lost the earlier.
    nonisolated static let simultaneousDials: Duration = .seconds(10)

    // MARK: Coming

    /// Takes a connection that somebody has dialled.
    func accepted(_ tcp: TCPConnection) {
        let ip = tcp.remoteAddress.with(port: 0)
        guard phase == .running, connectionCount < limits.connections,
            inboundCount < limits.inboundConnections, mayCome(from: ip),
            mayConnect(.inbound, tcp.remoteAddress, nil), makeRoomForHandshake()
        else { return tcp.abort() }
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

    /// Whether the limits by IP address leave room for one more connection.
    private func mayCome(from ip: SocketAddress) -> Bool {
        guard limits.limitsLoopback || !ip.isLoopback else { return true }
        guard inboundByIP[ip, default: 0] < limits.connectionsPerIP, let network = ip.network else {
            return false
        }
        let pending = upgrades.values.count { $0.network == network }
        return pending < limits.pendingPerIP && inboundRate.allows(network, now: Reactor.now)
    }

    /// Whether one more handshake may begin. When there are too many, the oldest gives way if it has had fair time:
    /// peers that begin handshakes and leave them cannot keep others out.
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

    /// Takes a connection that has been upgraded. Throws when it is not wanted; the caller closes it then.
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

    /// Whether a new connection takes the place of the one in use. Both ends come to the same answer: of two that were
    /// dialled from both sides at once, the one that the smaller peer ID dialled stays.
    private func isPreferred(_ new: Connection, over old: Connection) -> Bool {
        guard new.isInbound != old.isInbound, new.openedAt - old.openedAt < Self.simultaneousDials else {
            return true
        }
        let dialer = new.isInbound ? new.remotePeer : peerID
        let other = new.isInbound ? peerID : new.remotePeer
        return dialer < other
    }

    private func mayConnect(
        _ direction: Direction, _ address: SocketAddress, _ peer: PeerID?, isProven: Bool = false
    ) -> Bool {
        guard let gater = connectionGater else { return true }
        return gater(
            ConnectionCandidate(
                direction: direction, address: Multiaddr(ip: address.ip, tcp: address.port), peer: peer,
                isProven: isProven))
    }

    /// Whether the gater lets this host dial.
    func mayDial(_ address: SocketAddress, _ peer: PeerID?) -> Bool {
        mayConnect(.outbound, address, peer)
    }

    // MARK: Going

    /// A connection takes no more streams.
    func connectionDraining(_ connection: Connection) {
        guard let state = peers[connection.remotePeer], state.primary === connection else { return }
        state.primary = state.connections.last(where: \.isOpen)
    }

    /// A connection's streams have failed and it is being closed.
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

    /// A connection's socket has done what it had to.
    func socketClosed() {
        openSockets -= 1
        if openSockets == 0 { stopping.wakeAll() }
    }

    private func countInboundEnd(_ tcp: TCPConnection) {
        connectionCount -= 1
        inboundCount -= 1
        let ip = tcp.remoteAddress.with(port: 0)
        inboundByIP[ip] = inboundByIP[ip].flatMap { $0 > 1 ? $0 - 1 : nil }
    }
}
