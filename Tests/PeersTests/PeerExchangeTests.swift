import LibP2P
import Multiformats
import Protocols
import Testing

@testable import Peers

/// What peer exchange answers and accepts.
@Suite struct PeerExchangeTests {
    private static func told(_ number: Int, _ addresses: String...) throws -> DiscoveredPeer {
        DiscoveredPeer(
            id: PeerScript.peer(number), addresses: try addresses.map { try Multiaddr($0) }, protocols: [])
    }

    @Test func theLeadersAddressIsForValidators() throws {
        var script = PeerScript()
        script.become(.validator, leader: 1, validators: [0, 1, 2, 3])
        let known = try (1...5).map { try Self.told($0, "/ip4/20.0.0.\($0)/tcp/6600") }
        func numbers(_ asker: Int) -> [Int]? {
            script.planner.told(to: PeerScript.peer(asker), at: nil, of: known, now: .zero)?
                .map { PeerScript.number($0.id) }.sorted()
        }
        #expect(numbers(2) == [1, 3, 4, 5])
        #expect(numbers(1) == [2, 3, 4, 5])
        #expect(numbers(5) == [2, 3, 4])
        #expect(numbers(99) == [2, 3, 4, 5])
        // When the leader changes, the new leader's address becomes secret.
        script.become(.validator, leader: 3, validators: [0, 1, 2, 3])
        #expect(numbers(5) == [1, 2, 4])
    }

    @Test func privateBlockedAndBannedPeersAreNotTold() throws {
        var script = PeerScript {
            $0.hide(PeerScript.peer(5))
            $0.blocked.insert(.peer(PeerScript.peer(6)))
            if let network = IPNetwork("20.8.0.0/16") { $0.blocked.insert(.network(network)) }
        }
        script.connect(7)
        script.feed(.misbehaved(PeerScript.peer(7), .lie))
        let known = try (5...9).map { try Self.told($0, "/ip4/20.\($0).0.1/tcp/6600") }
        let told = script.planner.told(to: PeerScript.peer(1), at: nil, of: known, now: .zero)
        #expect(told?.map { PeerScript.number($0.id) } == [9])
        // Peers that are not told are not accepted either, except the operator's private peers.
        let believed = script.planner.believed(known, from: nil, now: .zero)
        #expect(believed.map { PeerScript.number($0.id) } == [5, 9])
    }

    @Test func onlyAddressesThatTheAskerCanReach() throws {
        let known = [
            try Self.told(
                2, "/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/203.0.113.1/tcp/1", "/ip6/::1/tcp/1",
                "/ip6/fd00::1/tcp/1", "/dns4/example.org/tcp/1", "/ip4/0.0.0.0/tcp/1"),
            try Self.told(3, "/ip4/192.168.1.1/tcp/1"),
        ]
        let table = [
            ("203.0.113.9", [2, 0]), ("10.9.9.9", [4, 1]), ("127.0.0.1", [6, 1]), ("fe80::1", [4, 1]),
        ]
        for (place, counts) in table {
            var script = PeerScript()
            let ip = try #require(IP(place))
            let told = script.planner.told(to: PeerScript.peer(1), at: ip, of: known, now: .zero) ?? []
            let byPeer = [2, 3].map { number in
                told.first { $0.id == PeerScript.peer(number) }?.addresses.count ?? 0
            }
            #expect(byPeer == counts, "\(place)")
            let believed = script.planner.believed(known, from: ip, now: .zero)
            #expect(believed.allSatisfy { $0.addresses.count <= PeerPlanner.believedAddresses })
            #expect(believed.first?.id == PeerScript.peer(2))
        }
    }

    @Test func answersAreBoundedAndRare() throws {
        var script = PeerScript()
        let known = try (1...300).map { try Self.told($0, "/ip4/20.0.0.1/tcp/\($0)") }
        func count(_ asker: Int, at second: Int) -> Int? {
            script.planner.told(to: PeerScript.peer(asker), at: nil, of: known, now: .seconds(second))?.count
        }
        for _ in 0..<PeerPlanner.answersAtOnce { #expect(count(1, at: 0) == PeerPlanner.toldPeers) }
        #expect(count(1, at: 0) == nil)
        #expect(count(2, at: 0) == PeerPlanner.toldPeers)
        #expect(count(1, at: 5) == PeerPlanner.toldPeers)
        #expect(count(1, at: 5) == nil)
        #expect(script.planner.believed(known, from: nil, now: .zero).count == PeerPlanner.believedPeers)
    }
}
