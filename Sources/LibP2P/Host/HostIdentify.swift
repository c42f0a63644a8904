import Crypto
import Log
import Multiformats
import Reactor

/// Identify and identify push, as the host uses them.
extension Host {
    /// Returns this host's information for the peer of `connection`.
    func identifyInfo(for connection: Connection) -> IdentifyInfo {
        IdentifyInfo(
            protocolVersion: configuration.protocolVersion, agentVersion: configuration.agentVersion,
            publicKey: configuration.identity.publicKey, listenAddresses: announced(to: connection),
            observedAddress: connection.tcp.remoteAddress.multiaddr, protocols: protocols)
    }

    /// Returns the addresses to announce. In listen addresses, the local address of this connection replaces "any
    /// address".
    private func announced(to connection: Connection) -> [Multiaddr] {
        guard configuration.announceAddresses.isEmpty else { return configuration.announceAddresses }
        let local = connection.tcp.localAddress
        return listenAddresses.compactMap { address in
            guard case (.ip(let ip), let port)? = address.transport, ip.isUnspecified else { return address }
            guard ip.isIPv6 || !local.isIPv6 else { return nil }
            return Multiaddr(ip: local.ip, tcp: port)
        }
    }

    /// Runs identify on a connection.
    func identify(_ connection: Connection) {
        Reactor.spawn {
            do throws(LibP2PError) {
                let stream = try await self.negotiatedStream(connection, [.identify])
                try await self.learn(on: stream)
            } catch {
                self.log.debug(
                    "identify failed", ["peer": .of(connection.remotePeer), "reason": .error(error)])
            }
        }
    }

    /// Returns what a connected peer has told about itself. Waits up to `limit` for a new connection's identify; nil if
    /// it has not finished by then.
    public func identity(of peer: PeerID, within limit: Duration) async -> IdentifyInfo? {
        guard let state = peers[peer], state.info == nil else { return identity(of: peer) }
        await state.identifying.wait(limit: limit) { state.info != nil || peers[peer] !== state }
        return state.info
    }

    /// Handles identify push, unless the peer pushes too often.
    func takePush(_ stream: Stream) async throws(LibP2PError) {
        guard pushes.allows(stream.remotePeer, now: Reactor.now) else {
            stream.connection.mux.cost &+= Self.excessPushCost
            askAgain(stream.connection)
            return stream.reset()
        }
        try await learn(on: stream)
    }

    /// Runs identify a little later, once for all ignored pushes until then.
    private func askAgain(_ connection: Connection) {
        let state = connection.peer
        guard !state.isToBeAsked else { return }
        state.isToBeAsked = true
        Reactor.schedule(after: Self.pushInterval) { [weak self] in
            state.isToBeAsked = false
            guard let self, phase == .running, let connection = state.primary else { return }
            identify(connection)
        }
    }

    /// Reads a peer's information about itself. A repetition has no effect.
    private func learn(on stream: Stream) async throws(LibP2PError) {
        let message = try await Identify.read(on: stream)
        let hash = Hash.sha256(of: message)
        guard phase == .running, let state = peers[stream.remotePeer], state.infoHash != hash else { return }
        let info = try Identify.decode(message, of: stream.remotePublicKey)
        state.infoHash = hash
        learned(info, state, from: stream.connection)
    }

    private func learned(_ info: IdentifyInfo, _ state: PeerState, from connection: Connection) {
        state.info = info
        state.identifying.wakeAll()
        let place = connection.tcp.remoteAddress.ip
        configuration.peerStore.add(
            info.listenAddresses.filter { $0.isReachable(from: place) }, for: connection.remotePeer)
        configuration.peerStore.setProtocols(info.protocols, of: connection.remotePeer)
        emit(.identified(connection.remotePeer, info))
    }

    /// Pushes this host's information to every peer that supports identify push.
    func pushIdentify() {
        for peer in connectedPeers {
            guard let state = peers[peer], let connection = state.primary,
                state.info?.protocols.contains(.identifyPush) == true
            else { continue }
            Reactor.spawn {
                guard let stream = try? await self.negotiatedStream(connection, [.identifyPush]) else {
                    return
                }
                try? await Identify.send(self.identifyInfo(for: connection), on: stream)
            }
        }
    }
}
