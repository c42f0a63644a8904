import Multiformats
import Reactor

/// What a dial is for: a peer, or an address whose peer is not known yet.
enum DialKey: Hashable {
    case peer(PeerID)
    case address(Multiaddr)
}

/// A dial under way, which everybody who wants the same waits for.
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
    /// How long all attempts to reach one peer may take together.
    nonisolated static let dialTimeout: Duration = .seconds(30)
    /// The most addresses of one peer that are tried.
    nonisolated static let largestDial = 16

    /// Connects to the host at an address. With a peer ID in the address any other peer is refused; if there is a
    /// connection with that peer, nothing happens.
    ///
    /// Throws `dialFailed` with a reason for each IP address that was tried, `wrongPeer`, what the handshake throws,
    /// `backingOff` shortly after a failure, `unsupportedAddress`.
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

    /// Connects to a peer at one of several addresses and those that the peer store has; if there is a connection
    /// with it, nothing happens. Throws like the other `connect`, and `noAddress`. With `backsOff` false, addresses are
    /// tried however lately they failed: for a caller with a plan of its own.
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

    /// Joins the dial for `key`, or begins it.
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
                do throws(LibP2PError) {
                    dial.result = .success(try await body())
                } catch {
                    dial.result = .failure(error)
                }
                self.dials[key] = nil
                dial.waiters.wakeAll()
            }
        }
        while true {
            if let result = dial.result { return try result.get() }
            guard await dial.waiters.wait() else { throw .cancelled }
        }
    }

    /// Connects to whichever address leads to the peer.
    private func reach(
        _ addresses: [Multiaddr], expecting peer: PeerID?, backsOff: Bool = true
    ) async throws(LibP2PError) -> PeerID {
        let start = Reactor.now
        let due = addresses.filter { !backsOff || backoff.mayDial(.address($0), now: start) }
        guard !due.isEmpty else { throw .backingOff }
        var reasons: [String] = []
        var last: LibP2PError?
        var sockets: [(SocketAddress, Multiaddr)] = []
        for (address, found) in zip(due, await AddressLookup(due).run()) {
            do throws(LibP2PError) {
                for socket in try found.get() where !sockets.contains(where: { $0.0 == socket }) {
                    if mayDial(socket, peer) { sockets.append((socket, address)) } else { last = .refused }
                }
            } catch {
                last = error
                reasons.append("\(address): \(error)")
                noteFailure(address, peer)
            }
        }
        while !sockets.isEmpty, !Task.isCancelled, phase == .running, Reactor.now - start < Self.dialTimeout {
            if let peer, peers[peer]?.primary != nil { return peer }
            let race = AddressRace(sockets.map(\.0), from: configuration.dialFrom)
            let tcp = await race.run()
            for (socket, error) in race.failures {
                reasons.append("\(socket): \(error)")
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
                last = error
                reasons.append("\(tcp.remoteAddress): \(error)")
                if let address { noteFailure(address, peer) }
            }
        }
        if Task.isCancelled { throw .cancelled }
        guard phase == .running else { throw .notRunning }
        // One address, one reason: say it in its own terms.
        if reasons.count <= 1, let last { throw last }
        throw .dialFailed(reasons.joined(separator: "; "))
    }

    private func noteFailure(_ address: Multiaddr, _ peer: PeerID?) {
        backoff.failed(.address(address), now: Reactor.now, random: Reactor.random())
        if let peer { configuration.peerStore.noteDialFailed(peer, at: address) }
    }

    /// Upgrades a dialled connection and takes it in.
    private func secure(_ tcp: TCPConnection, expecting peer: PeerID?) async throws(LibP2PError) -> PeerID {
        connectionCount += 1
        do throws(LibP2PError) {
            let done = WaitQueue()
            var result: Result<PeerID, LibP2PError>?
            let upgrade = try upgrade(tcp, dialing: true, expecting: peer) { outcome in
                do throws(LibP2PError) {
                    let outcome = try outcome.get()
                    try self.established(tcp, isInbound: false, outcome)
                    result = .success(outcome.remotePeer)
                } catch {
                    result = .failure(error)
                }
                done.wakeAll()
            }
            while result == nil {
                if await !done.wait() { upgrade.cancel(.cancelled) }
            }
            guard let result else { throw .cancelled }
            return try result.get()
        } catch {
            connectionCount -= 1
            tcp.close()
            throw error
        }
    }
}
