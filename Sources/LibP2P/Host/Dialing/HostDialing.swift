import Multiformats
import Reactor

/// The target of a dial: a peer, or an address whose peer is not known yet.
enum DialKey: Hashable {
    case peer(PeerID)
    case address(Multiaddr)
}

/// A dial under way. All tasks that want the same target wait for it.
@ReactorActor
final class Dial {
    let number: Int
    var task: Task<Void, Never>?
    var result: Result<PeerID, LibP2PError>?
    let waiters = WaitQueue()

    init(number: Int) {
        self.number = number
    }
}

extension Host {
    /// The time limit for all attempts to reach one peer together.
    nonisolated static let dialTimeout: Duration = .seconds(30)
    /// The most addresses of one peer to try.
    nonisolated static let largestDial = 16

    /// Connects to the host at an address and returns its peer ID. If the address has a peer ID, any other peer is
    /// refused, and an existing connection with that peer suffices.
    ///
    /// Throws `dialFailed` with a reason for each IP address tried, `wrongPeer`, the handshake's errors, `backingOff`
    /// shortly after a failure, or `unsupportedAddress`.
    @discardableResult
    public func connect(_ address: Multiaddr) async throws(LibP2PError) -> PeerID {
        if let peer = address.peerID {
            try await connect(peer, [address])
            return peer
        }
        return try await dial(.address(address)) { () async throws(LibP2PError) in
            try await self.reach([address], expecting: nil)
        }
    }

    /// Connects to a peer at one of several addresses or those in the peer store; an existing connection suffices.
    /// Throws like the other `connect`, and `noAddress`. If `backsOff` is false, addresses are tried even shortly after
    /// a failure, for a caller that schedules dials itself.
    public func connect(
        _ peer: PeerID, _ addresses: [Multiaddr], backsOff: Bool = true
    ) async throws(LibP2PError) {
        guard peer != peerID else { throw .dialedSelf }
        guard peers[peer]?.primary == nil else { return }
        var all = addresses.map(\.withoutPeerID)
        for known in configuration.peerStore.addresses(of: peer)
        where !all.contains(known.withoutPeerID) {
            all.append(known.withoutPeerID)
        }
        let targets = Array(all.prefix(Self.largestDial))
        guard !targets.isEmpty else { throw .noAddress(peer) }
        _ = try await dial(.peer(peer)) { () async throws(LibP2PError) in
            try await self.reach(targets, expecting: peer, backsOff: backsOff)
        }
    }

    /// Joins the dial for `key` or begins one.
    private func dial(
        _ key: DialKey, _ body: @escaping @ReactorActor @Sendable () async throws(LibP2PError) -> PeerID
    ) async throws(LibP2PError) -> PeerID {
        guard phase == .running else { throw .notRunning }
        let dial: Dial
        if let running = dials[key] {
            dial = running
        } else {
            guard connectionCount < limits.connections else { throw .limitReached("connections") }
            lastUpgrade += 1
            dial = Dial(number: lastUpgrade)
            dials[key] = dial
            dial.task = Reactor.spawn {
                let result = await Result { () async throws(LibP2PError) in try await body() }
                let outcome: DialOutcome = if case .success = result { .succeeded } else { .failed }
                self.metrics.dials[outcome].add()
                dial.result = result
                self.dials[key] = nil
                dial.waiters.wakeAll()
            }
        }
        while true {
            if let result = dial.result { return try result.get() }
            guard await dial.waiters.wait() else { throw .cancelled }
        }
    }

    /// Connects to the first address that leads to the peer.
    private func reach(
        _ addresses: [Multiaddr], expecting peer: PeerID?, backsOff: Bool = true
    ) async throws(LibP2PError) -> PeerID {
        let start = Reactor.now
        let due = addresses.filter { !backsOff || backoff.mayDial(.address($0), now: start) }
        guard !due.isEmpty else { throw .backingOff }
        var failures = Failures()
        var sockets = await resolve(due, of: peer, &failures)
        while !sockets.isEmpty, !Task.isCancelled, phase == .running, Reactor.now - start < Self.dialTimeout {
            if let peer, peers[peer]?.primary != nil { return peer }
            let race = AddressRace(sockets.map(\.0), from: configuration.dialFrom)
            let tcp = await race.run()
            for (socket, error) in race.failures {
                failures.reasons.append("\(socket): \(error)")
                if let address = sockets.first(where: { $0.0 == socket })?.1 { noteFailure(address, peer) }
                sockets.removeAll { $0.0 == socket }
            }
            guard let tcp else { break }
            let address = sockets.first { $0.0 == tcp.remoteAddress }?.1
            sockets.removeAll { $0.0 == tcp.remoteAddress }
            do throws(LibP2PError) {
                let found = try await secure(tcp, expecting: peer)
                if let address {
                    backoff.succeeded(.address(address))
                    configuration.peerStore.noteDialed(found, at: address)
                }
                return found
            } catch {
                failures.add(error, at: "\(tcp.remoteAddress)")
                if let address { noteFailure(address, peer) }
            }
        }
        if Task.isCancelled { throw .cancelled }
        guard phase == .running else { throw .notRunning }
        throw failures.error
    }

    /// What has gone wrong in a dial.
    private struct Failures {
        /// One reason for each address tried.
        var reasons: [String] = []
        /// The last failure other than that of a TCP connection.
        var last: LibP2PError?

        mutating func add(_ error: LibP2PError, at place: String) {
            last = error
            reasons.append("\(place): \(error)")
        }

        /// The error of the whole dial. With only one reason, that error itself.
        var error: LibP2PError {
            if reasons.count <= 1, let last { last } else { .dialFailed(reasons.joined(separator: "; ")) }
        }
    }

    /// Resolves addresses to socket addresses that may be dialled, each with the address that led to it.
    private func resolve(
        _ addresses: [Multiaddr], of peer: PeerID?, _ failures: inout Failures
    ) async -> [(SocketAddress, Multiaddr)] {
        var sockets: [(SocketAddress, Multiaddr)] = []
        for (address, found) in zip(addresses, await AddressLookup(addresses).run()) {
            do throws(LibP2PError) {
                for socket in try found.get() where !sockets.contains(where: { $0.0 == socket }) {
                    if mayConnect(.outbound, socket, peer) {
                        sockets.append((socket, address))
                    } else {
                        failures.last = .refused
                    }
                }
            } catch {
                failures.add(error, at: "\(address)")
                noteFailure(address, peer)
            }
        }
        return sockets
    }

    private func noteFailure(_ address: Multiaddr, _ peer: PeerID?) {
        backoff.failed(.address(address), now: Reactor.now, random: Reactor.random())
        if let peer { configuration.peerStore.noteDialFailed(peer, at: address) }
    }

    /// Upgrades a dialled connection and adds it to the host's.
    private func secure(_ tcp: TCPConnection, expecting peer: PeerID?) async throws(LibP2PError) -> PeerID {
        connectionCount += 1
        do throws(LibP2PError) {
            let done = WaitQueue()
            var result: Result<PeerID, LibP2PError>?
            let upgrade = try upgrade(tcp, dialing: true, expecting: peer) { outcome in
                result = Result { () throws(LibP2PError) in
                    let outcome = try outcome.get()
                    try self.established(tcp, isInbound: false, outcome)
                    return outcome.remotePeer
                }
                done.wakeAll()
            }
            while result == nil {
                if await !done.wait() { upgrade.cancel(.cancelled) }
            }
            guard let result else { throw .cancelled }
            return try result.get()
        } catch {
            metrics.failedHandshakes[HandshakeFailure(error)].add()
            connectionCount -= 1
            tcp.close()
            throw error
        }
    }
}
