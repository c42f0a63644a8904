import Chain
import LibP2P
import Multiformats
import Protocols
import Testing

@testable import Peers

/// Which peers are admitted and disconnected, and how the chain changes that.
@Suite struct PeerPlannerTests {
    private static func peer(_ number: Int) -> PeerID { PeerScript.peer(number) }

    /// Validators 1 to 3 (1 leads), named peer 4, stranger 5.
    private func script(_ role: RoleName, _ change: (inout PeerRules) -> Void = { _ in })
        -> PeerScript
    {
        var script = PeerScript {
            $0.name(Self.peer(4))
            change(&$0)
        }
        script.become(
            role, leader: role == .leader ? 0 : 1, validators: role == .leader ? [0, 2, 3] : [1, 2, 3])
        return script
    }

    @Test func whoIsAdmittedInWhichRole() {
        typealias Expectation = (
            role: RoleName, isPrivate: Bool, peer: Int, reason: PeerPlanner.Reason?
        )
        let table: [Expectation] = [
            (.leader, false, 2, nil), (.leader, false, 4, nil), (.leader, false, 5, .leader),
            (.validator, false, 1, nil), (.validator, false, 2, nil), (.validator, false, 4, nil),
            (.validator, false, 5, nil), (.sentry, false, 1, nil), (.sentry, false, 5, nil),
            (.leader, true, 2, nil), (.leader, true, 4, nil), (.leader, true, 5, .notNamed),
            (.validator, true, 2, nil), (.validator, true, 5, .notNamed), (.sentry, true, 4, nil),
            (.sentry, true, 5, .notNamed),
        ]
        for row in table {
            for direction in [Direction.inbound, .outbound] {
                var script = script(row.role) { $0.isPrivate = row.isPrivate }
                let outcome = script.connect(row.peer, direction)
                let expected: Result<Int?, PeerPlanner.Reason> =
                    row.reason.map { .failure($0) } ?? .success(nil)
                #expect(outcome == expected, "\(row) \(direction)")
            }
        }
    }

    @Test func aLeaderWithoutOtherValidatorsAdmitsStrangers() {
        var script = PeerScript()
        script.become(.leader, leader: 0, validators: [0])
        #expect(script.connect(5) == .success(nil))
        // A second validator joins, which can relay the blocks.
        let actions = script.become(.leader, leader: 0, validators: [0, 1])
        #expect(actions == [.disconnect(Self.peer(5), .leader)])
    }

    @Test func theValidatorSetOpensAndClosesSlots() {
        var script = script(.validator) { $0.maximum = 8 }
        // The other four of 8 slots belong to validators and the named peer.
        #expect(script.planner.strangerSlots == 4)
        for number in 10..<14 { #expect(script.connect(number, .outbound) == .success(nil)) }
        #expect(script.connect(14, .outbound) == .failure(.full))
        // Two more validators join, and the newest strangers make room.
        script.now = .seconds(1)
        let actions = script.become(.validator, leader: 1, validators: [1, 2, 3, 20, 21])
        #expect(PeerScript.leaving(actions).count == 2)
        for peer in PeerScript.leaving(actions) { script.feed(.disconnected(Self.peer(peer))) }
        for number in [1, 2, 3, 4, 20, 21] { #expect(script.connect(number) == .success(nil), "\(number)") }
        #expect(script.connected.count == 8)
        // A validator leaves the set and becomes a stranger, but keeps its slot.
        #expect(PeerScript.leaving(script.become(.validator, leader: 1, validators: [1, 2, 3, 21])) == [])
        #expect(script.planner.standing(of: Self.peer(20)) == .stranger)
        // This node becomes leader, and strangers are disconnected.
        let led = script.become(.leader, leader: 0, validators: [0, 1, 2, 3, 21])
        #expect(Set(PeerScript.leaving(led)) == Set(script.connected.filter { $0 >= 10 && $0 != 21 }))
    }

    @Test func aValidatorTakesTheLeastUsefulStrangersSlot() {
        var script = PeerScript { $0.maximum = 6 }
        script.become(.validator, leader: 1, validators: [1, 2])
        script.connect(10, .outbound)
        script.now += .seconds(1)
        script.connect(11, .inbound)
        script.now += .seconds(1)
        script.connect(12, .inbound, kind: .guest)
        script.now += .seconds(1)
        script.connect(13, .outbound)
        #expect(script.planner.links.count == 4)
        // Slots are reserved for the validators, but the set outgrows them.
        script.planner.rules.maximum = 4
        #expect(script.connect(1) == .success(12), "a guest first")
        #expect(script.connect(2) == .success(11), "then an inbound one")
        script.become(.validator, leader: 1, validators: [1, 2, 3])
        #expect(script.connect(3) == .success(13), "then the newest")
        script.become(.validator, leader: 1, validators: [1, 2, 3, 4, 5])
        #expect(script.connect(4) == .success(10))
        #expect(script.connect(5) == .failure(.full), "no peer ranks lower")
    }

    @Test func aStrangerWithoutASlotMayVisit() throws {
        var script = PeerScript {
            $0.maximum = 8
            $0.target = 4
        }
        for number in 10..<14 { #expect(script.connect(number) == .success(nil)) }
        for number in 20..<20 + PeerPlanner.visitors {
            #expect(script.connect(number) == .success(nil))
            #expect(script.planner.links[Self.peer(number)]?.visitEnd != nil)
        }
        #expect(script.connect(60) == .failure(.full))
        #expect(script.planner.strangers.count == 4)
        // Visitors take no slot.
        for number in 14..<18 { #expect(script.connect(number, .outbound) == .success(nil)) }
        #expect(script.connect(18, .outbound) == .failure(.full))
        let known = try (10..<18).map {
            DiscoveredPeer(
                id: Self.peer($0), addresses: [try Multiaddr("/ip4/20.0.0.\($0)/tcp/6600")], protocols: [])
        }
        let told = script.planner.told(to: Self.peer(20), at: PeerScript.ip(20), of: known, now: script.now)
        #expect(told?.count == 8)
        script.now += .milliseconds(500)
        #expect(script.feed(.tick([])) == [], "the answer is on its way")
        script.now += .milliseconds(500)
        #expect(script.feed(.tick([])) == [.disconnect(Self.peer(20), .full)])
        script.feed(.disconnected(Self.peer(20)))
        #expect(script.connect(70) == .success(nil))
        script.now += PeerPlanner.visitMinimum - .seconds(1)
        #expect(script.connect(71) == .success(21), "the oldest visitor makes room")
        script.now += PeerPlanner.visitLimit
        let left = PeerScript.leaving(script.feed(.tick([]))).sorted()
        #expect(left == Array(22..<20 + PeerPlanner.visitors) + [70, 71])

        script = PeerScript {
            $0.maximum = 2
            $0.tellsPeers = false
        }
        #expect(script.connect(1) == .success(nil))
        #expect(script.connect(2) == .failure(.full), "it would be told nothing")
    }

    @Test func strangersCannotSurroundANode() {
        for role in [RoleName.validator, .sentry] {
            var script = PeerScript {
                $0.maximum = 40
                $0.target = 10
            }
            script.become(role, leader: 1, validators: [1, 2, 3, 4])
            for number in 100..<300 { script.connect(number) }
            let admitted = script.planner.strangers.count
            #expect(admitted == 40 - 4 - 10, "neither validators' slots nor those for outbound strangers")
            #expect(script.connected.count == admitted + PeerPlanner.visitors)
            for number in 1...4 { #expect(script.connect(number) == .success(nil)) }
            let book = (20..<60).map { PeerScript.candidate($0) }
            // However full it is, the node still dials peers of its own choice.
            var chosen: [Int] = []
            for _ in 0..<20 {
                for number in script.dialled(book) {
                    #expect(script.connect(number, .outbound) == .success(nil))
                    script.feed(.dialed(Self.peer(number)))
                    chosen.append(number)
                }
            }
            #expect(chosen.count { $0 >= 20 } >= 5)
        }
    }

    @Test func oneNetworkHasOnlySomeOfTheSlots() throws {
        var script = PeerScript()
        func ip(_ text: String) throws -> IP { try #require(IP(text)) }
        // The same address, then the same /16, then the same /64 and /32.
        for number in 0..<3 { #expect(script.connect(100 + number, ip: try ip("20.0.0.1")) == .success(nil)) }
        #expect(script.connect(103, ip: try ip("20.0.0.1")) == .failure(.crowded))
        let limit = PeerPlanner.strangersPerNetwork(of: script.planner.inboundStrangerSlots)
        for number in 3..<limit {
            #expect(script.connect(100 + number, ip: try ip("20.0.1.\(number)")) == .success(nil))
        }
        #expect(script.connect(200, ip: try ip("20.0.2.1")) == .failure(.crowded))
        #expect(script.connect(200, ip: try ip("20.1.2.1")) == .success(nil))
        for number in 0..<3 {
            #expect(script.connect(300 + number, ip: try ip("2001:db8::\(number + 1)")) == .success(nil))
        }
        #expect(script.connect(310, ip: try ip("2001:db8::9:9")) == .failure(.crowded), "the same /64")
        #expect(script.connect(310, ip: try ip("2001:db8:0:1::1")) == .success(nil))
        // Private networks have few addresses, and loopback has one.
        for number in 0..<40 {
            #expect(script.connect(400 + number, ip: try ip("10.0.0.\(number)")) == .success(nil))
        }
        for number in 0..<40 {
            #expect(script.connect(500 + number, ip: try ip("127.0.0.1")) == .success(nil))
        }
        // Validators and named peers are not counted.
        script.become(.validator, leader: nil, validators: [1, 2, 3, 4])
        for number in 1...4 { #expect(script.connect(number, ip: try ip("20.0.0.1")) == .success(nil)) }
    }

    @Test func blockedPeersAndNetworksStayOut() {
        var script = script(.validator) { rules in
            rules.blocked.insert(.peer(Self.peer(5)))
            if let network = IPNetwork("20.6.0.0/16") { rules.blocked.insert(.network(network)) }
        }
        #expect(script.connect(5) == .failure(.blocked))
        #expect(script.connect(6) == .failure(.blocked))
        #expect(script.connect(5, .outbound) == .failure(.blocked))
        #expect(!script.planner.admits(PeerScript.ip(6), now: .zero))
        #expect(script.planner.admits(PeerScript.ip(5), now: .zero))
        #expect(
            !script.dialled(after: .seconds(60), [PeerScript.candidate(5), PeerScript.candidate(6)]).contains(
                5))
        // Blocks at run time also apply to validators.
        script.connect(2)
        script.connect(7)
        var rules = script.planner.rules
        rules.blocked.insert(.peer(Self.peer(2)))
        if let network = IPNetwork("20.7.0.0/16") { rules.blocked.insert(.network(network)) }
        #expect(
            script.feed(.rules(rules)) == [
                .disconnect(Self.peer(2), .blocked), .disconnect(Self.peer(7), .blocked),
            ])
        script.feed(.disconnected(Self.peer(2)))
        script.feed(.disconnected(Self.peer(7)))
        #expect(script.connect(7) == .failure(.blocked))
        rules.blocked = BlockList()
        #expect(script.feed(.rules(rules)).isEmpty)
        for number in [2, 5, 7] { #expect(script.connect(number) == .success(nil)) }
    }

    @Test func newRulesFreeSlotsAndNameStrangers() {
        var script = script(.sentry)
        for number in 5...9 { script.connect(number) }
        var rules = script.planner.rules
        rules.isPrivate = true
        rules.name(Self.peer(6))
        #expect(
            script.feed(.rules(rules)) == [5, 7, 8, 9].map { .disconnect(Self.peer($0), .notNamed) })
        for number in [5, 7, 8, 9] { script.feed(.disconnected(Self.peer(number))) }
        #expect(script.connect(5) == .failure(.notNamed))
        #expect(script.connect(6) == .success(nil))
    }

    @Test func guestsAndSilentPeersGo() {
        var script = script(.sentry)
        script.connect(10, kind: .unknown)
        script.connect(11, kind: .guest)
        script.connect(12)
        #expect(
            script.feed(.identified(Self.peer(12), .foreign)) == [
                .disconnect(Self.peer(12), .foreign), .forget(Self.peer(12)),
            ])
        script.feed(.disconnected(Self.peer(12)))
        script.now = PeerPlanner.identifyLimit
        #expect(script.feed(.tick([])) == [.disconnect(Self.peer(10), .silent)])
        script.feed(.disconnected(Self.peer(10)))
        script.now = PeerPlanner.guestLimit
        #expect(script.feed(.tick([])) == [.disconnect(Self.peer(11), .guest)])
    }

    @Test func misbehaviourLeadsToABanAndIsForgiven() {
        var script = script(.validator)
        script.connect(5)
        #expect(script.feed(.misbehaved(Self.peer(5), .malformed)) == [])
        #expect(script.feed(.misbehaved(Self.peer(5), .flooding)) == [])
        #expect(
            script.feed(.misbehaved(Self.peer(5), .malformed))
                == [.disconnect(Self.peer(5), .misbehaved, .malformed)])
        script.feed(.disconnected(Self.peer(5)))
        #expect(script.connect(5) == .success(nil), "not banned yet")
        #expect(
            script.feed(.misbehaved(Self.peer(5), .wrongContent)) == [
                .banned(Self.peer(5), PeerConduct.firstBan, .wrongContent), .forget(Self.peer(5)),
                .disconnect(Self.peer(5), .misbehaved, .wrongContent),
            ])
        script.feed(.disconnected(Self.peer(5)))
        #expect(script.connect(5) == .failure(.banned))
        #expect(
            !script.planner.admits(PeerScript.ip(5), now: script.now), "nor its address, before the handshake"
        )
        script.now += PeerConduct.firstBan
        #expect(script.planner.admits(PeerScript.ip(5), now: script.now))
        #expect(script.connect(5) == .success(nil), "forgiven")
        // A validator is banned only briefly, and never forgotten.
        script.connect(2)
        #expect(
            script.feed(.misbehaved(Self.peer(2), .lie)) == [
                .banned(Self.peer(2), PeerConduct.trustedBan, .lie),
                .disconnect(Self.peer(2), .misbehaved, .lie),
            ])
        #expect(script.planner.admits(PeerScript.ip(2), now: script.now))
    }

    @Test func anAddressSharedWithATrustedPeerIsNotBanned() {
        var script = script(.validator)
        let place = PeerScript.ip(50)
        script.connect(2, ip: place)
        script.connect(5, ip: place)
        script.feed(.misbehaved(Self.peer(5), .lie))
        #expect(script.planner.admits(place, now: script.now))
        #expect(script.connect(6, ip: IP("127.0.0.1")) == .success(nil))
        script.feed(.misbehaved(Self.peer(6), .lie))
        #expect(script.planner.admits(IP("127.0.0.1"), now: script.now))
    }
}
