import Collections
import LibP2P
import Multiformats
import Protocols
import Reactor

/// Peer exchange: asks peers for other peers, and answers their requests (docs/peers.md, "Peer exchange").
extension PeerService: PeerDirectory {
    /// The time between two rounds, plus up to a quarter at random.
    private nonisolated static let exchangeInterval = (
        usually: Duration.seconds(60), inNeed: Duration.seconds(10)
    )
    /// The number of peers asked in a round: more while the node lacks peers.
    private nonisolated static let asked = (usually: 1, inNeed: 4)

    var isInNeed: Bool { ready.count < planner.rules.target }

    func exchange() {
        let (asked, interval) = (Self.asked, Self.exchangeInterval)
        var generator = SeededGenerator(seed: Reactor.random())
        for peer in generator.choose(isInNeed ? asked.inNeed : asked.usually, of: Array(ready)) { ask(peer) }
        exchangeTimer = Reactor.schedule(after: jittered(isInNeed ? interval.inNeed : interval.usually)) {
            [weak self] in self?.exchange()
        }
    }

    func ask(_ peer: PeerID) {
        guard planner.rules.tellsPeers, !isStopped else { return }
        Reactor.spawn {
            do throws(ProtocolsError) {
                let told = try await DiscoveryProtocol.request(
                    from: peer, chainID: self.chainID, on: self.host)
                self.learn(told, from: peer)
            } catch {
                if let what = Misbehaviour.ofResponder(error) {
                    self.host.report(peer, what, because: error)
                }
            }
        }
    }

    private func learn(_ told: [DiscoveredPeer], from teller: PeerID) {
        let place = host.remoteAddress(of: teller)?.ip
        for peer in planner.believed(told, from: place, now: Reactor.now) {
            store.add(peer.addresses, for: peer.id, toldBy: teller)
            driver.submit(.learned(peer.id))
        }
    }

    /// Returns the peers to tell another about; nil if this node does not take part in peer exchange.
    package func peers(toTell asker: PeerID) -> [DiscoveredPeer]? {
        guard planner.rules.tellsPeers else { return nil }
        let all = ready.map {
            DiscoveredPeer(
                id: $0, addresses: store.addresses(of: $0),
                protocols: host.identity(of: $0)?.protocols ?? [])
        }
        let place = host.remoteAddress(of: asker)?.ip
        return driver.ask { planner, now, _ in planner.told(to: asker, at: place, of: all, now: now.elapsed) }
    }
}
