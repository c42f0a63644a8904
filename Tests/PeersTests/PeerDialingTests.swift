import Chain
import Collections
import LibP2P
import Multiformats
import Testing

@testable import Peers

/// Which peers are dialled, and when again.
@Suite struct PeerDialingTests {
    private static func peer(_ number: Int) -> PeerID { PeerScript.peer(number) }

    private func kept(_ number: Int) throws -> (inout PeerRules) -> Void {
        let address = try Multiaddr("/ip4/20.0.0.1/tcp/6600")
        return { $0.keep(Self.peer(number), at: address) }
    }

    @Test func theAddressBookTellsOnlyOfWhoIsMissing() throws {
        var script = PeerScript(try kept(1))
        #expect(script.planner.interest == .everybody)
        for number in 2...21 { script.connect(number, .outbound) }
        #expect(script.planner.interest == .some([Self.peer(1)]))
        script.connect(1, .outbound)
        #expect(script.planner.interest == .nobody)
        script.become(.sentry, leader: 30, validators: [30, 31, 32])
        #expect(script.planner.interest == .some([Self.peer(31), Self.peer(32)]), "the leader refuses")
        #expect(script.dialled([PeerScript.candidate(31), PeerScript.candidate(32)]).count == 2)
        script.become(.validator, leader: 30, validators: [0, 30, 31])
        #expect(script.planner.interest == .nobody, "validators dial each other without it")
        for number in 2...6 { script.feed(.disconnected(Self.peer(number))) }
        #expect(script.planner.interest == .everybody)
    }

    @Test func aKeptPeerIsDialledAgainWithoutEnd() throws {
        var script = PeerScript(try kept(1))
        var waits: [Duration] = []
        var last = script.now
        while waits.count < 40 {
            guard script.dialled(after: .milliseconds(100)) == [1] else { continue }
            waits.append(script.now - last)
            last = script.now
            script.feed(.dialFailed(Self.peer(1), lacksAddress: false))
        }
        for (index, wait) in waits.dropFirst().enumerated() {
            let full = min(DialPlan.shortest * (1 << min(index, 10)), DialPlan.longestWanted)
            #expect(wait >= full / 2 && wait <= full + .milliseconds(200), "wait \(index) was \(wait)")
        }
        // The backoffs vary, so that nodes that lost the same peer do not return together.
        #expect(Set(waits.suffix(20)).count > 10)
    }

    @Test func aLastingConnectionEndsTheBackOff() throws {
        var script = PeerScript(try kept(1))
        for _ in 0..<8 {
            script.now += .seconds(60)
            #expect(script.dialled() == [1])
            script.feed(.dialFailed(Self.peer(1), lacksAddress: false))
        }
        script.now += .seconds(60)
        #expect(script.dialled() == [1])
        script.connect(1, .outbound)
        script.feed(.dialed(Self.peer(1)))
        #expect(script.dialled(after: .seconds(20)) == [])
        script.feed(.disconnected(Self.peer(1)))
        #expect(script.dialled(after: DialPlan.shortest) == [1], "soon, as after a first failure")
        // A connection that ends at once does not end the backoff: the peer does not want this node.
        for count in 1...4 {
            script.connect(1, .outbound)
            script.feed(.dialed(Self.peer(1)))
            script.feed(.disconnected(Self.peer(1)))
            #expect(script.planner.dials.failures(of: Self.peer(1)) == count)
            #expect(script.dialled(after: .seconds(60)) == [1])
        }
    }

    /// A validator that was unreachable for long is dialled again soon once the sentry has no other.
    @Test func aSentryThatLosesItsLastValidatorLooksForAnother() throws {
        var script = PeerScript()
        script.become(.sentry, leader: 1, validators: [1, 2, 3])
        let others = [PeerScript.candidate(3)]
        script.connect(2)
        while script.planner.dials.failures(of: Self.peer(3)) < 12 {
            if script.dialled(after: .seconds(10), others) == [3] {
                script.feed(.dialFailed(Self.peer(3), lacksAddress: false))
            }
        }
        #expect(script.dialled(after: DialPlan.longestWanted, others) == [])
        script.become(.sentry, leader: 2, validators: [1, 2, 3])
        script.feed(.disconnected(Self.peer(2)))
        #expect(script.dialled(after: .seconds(1), others) == [3])
        for _ in 0..<5 {
            script.feed(.dialFailed(Self.peer(3), lacksAddress: false))
            #expect(script.dialled(after: DialPlan.longestWanted, others) == [3])
        }
        script.connect(3, .outbound)
        script.feed(.dialed(Self.peer(3)))
        #expect(script.connected == [3])
    }

    @Test func onlyOneDialOfAPeerAtATime() throws {
        var script = PeerScript(try kept(1))
        #expect(script.dialled() == [1])
        #expect(script.dialled(after: .seconds(600)) == [])
        script.feed(.dialFailed(Self.peer(1), lacksAddress: false))
        #expect(script.dialled(after: .seconds(600)) == [1])
    }

    @Test func whomWhichRoleDials() throws {
        // Validators 1 to 6 (1 leads), named peer 7, strangers from 20 on; the target is 8.
        let book = (1...7).map { PeerScript.candidate($0) } + (20..<40).map { PeerScript.candidate($0) }
        func dialled(_ role: RoleName) -> [Int] {
            var script = PeerScript {
                $0.target = 8
                $0.name(Self.peer(7))
            }
            let validators = role == .sentry ? [1, 2, 3, 4, 5, 6] : [0, 1, 2, 3, 4, 5, 6]
            script.become(role, leader: role == .leader ? 0 : 1, validators: validators)
            return script.dialled(book).sorted()
        }
        #expect(dialled(.leader) == [1, 2, 3, 4, 5, 6, 7])
        let validator = dialled(.validator)
        #expect(validator.prefix(7) == [1, 2, 3, 4, 5, 6, 7])
        #expect(validator.count == 8, "and some sentries")
        let sentry = dialled(.sentry)
        #expect(sentry.count { (2...6).contains($0) } == 2, "some validators")
        #expect(!sentry.contains(1), "the leader would refuse")
        #expect(sentry.contains(7))
        #expect(sentry.count { $0 >= 20 } == 5)
    }

    @Test func validatorsBeyondTheTargetLeaveSomeSentries() {
        var script = PeerScript { $0.target = 8 }
        let validators = Array(1...12)
        script.become(.validator, leader: 1, validators: [0] + validators)
        for number in validators { script.connect(number, number % 2 == 0 ? .inbound : .outbound) }
        #expect(script.dialled((20..<40).map { PeerScript.candidate($0) }).count == 2)
    }

    @Test func strangersOfManyNetworksAndVerifiedOnesFirst() throws {
        func ip(_ text: String) throws -> IP { try #require(IP(text)) }
        var book = try (0..<10).map { PeerScript.candidate(20 + $0, ip: try ip("21.0.0.\($0)")) }
        book += try (0..<4).map {
            PeerScript.candidate(40 + $0, verified: false, ip: try ip("2\(2 + $0).0.0.1"))
        }
        book += try (0..<4).map { PeerScript.candidate(50 + $0, ip: try ip("3\($0).0.0.1")) }
        var script = PeerScript { $0.target = 5 }
        let first = script.dialled(book)
        #expect(first.count == 5)
        #expect(Set(first).isSuperset(of: [50, 51, 52, 53]), "verified, each in its own network")
        #expect(first.count { (20..<30).contains($0) } == 1)
        // The same seed gives the same choice, another seed another.
        var again = PeerScript { $0.target = 5 }
        #expect(again.dialled(book) == first)
        let choices = (2..<10).map { seed in
            var other = PeerScript(seed: UInt64(seed)) { $0.target = 5 }
            return other.dialled(book)
        }
        #expect(Set(choices).count > 1)
    }

    @Test func aFullNodeDialsNoStrangers() {
        var script = PeerScript {
            $0.target = 4
            $0.maximum = 4
        }
        for number in 10..<12 { #expect(script.connect(number, .outbound) == .success(nil)) }
        for number in 12..<14 { script.connect(number) }
        #expect(script.connected.count == 4)
        #expect(script.dialled((20..<40).map { PeerScript.candidate($0) }) == [])
        script.feed(.disconnected(Self.peer(10)))
        #expect(script.dialled((20..<40).map { PeerScript.candidate($0) }).count == 1)
    }

    @Test func theDeadAreForgottenButNotValidators() throws {
        var script = PeerScript(try kept(1))
        script.become(.validator, leader: nil, validators: [0, 2])
        script.planner.rules.name(Self.peer(3))
        let book = [2, 3, 20].map { PeerScript.candidate($0) }
        var forgotten: [Int] = []
        for _ in 0..<400 {
            for number in script.dialled(
                after: .seconds(30), forgotten.isEmpty ? book : Array(book.prefix(2)))
            {
                for action in script.feed(.dialFailed(Self.peer(number), lacksAddress: false)) {
                    if case .forget(let peer) = action { forgotten.append(PeerScript.number(peer)) }
                }
            }
        }
        #expect(forgotten == [20])
        for number in 1...3 {
            #expect(script.planner.dials.failures(of: Self.peer(number)) > DialPlan.deadlyFailures)
        }
    }

    @Test func failuresInAShortTimeAreNoDeath() {
        var plan = DialPlan()
        var random = SeededGenerator(seed: 1)
        for second in 0..<100 { plan.failed(Self.peer(1), isWanted: false, now: .seconds(second), &random) }
        #expect(!plan.isDead(Self.peer(1), now: .seconds(100)))
        #expect(plan.isDead(Self.peer(1), now: DialPlan.deadlyTime))
        // A peer that answers in between starts anew.
        plan.ended(Self.peer(1), after: .seconds(60), isWanted: false, now: .seconds(3_700), &random)
        #expect(!plan.isDead(Self.peer(1), now: .seconds(3_800)))
    }

    @Test func aNewAddressEndsTheWait() {
        var script = PeerScript()
        script.become(.validator, leader: nil, validators: [0, 2])
        for _ in 0..<6 {
            script.now += .seconds(60)
            #expect(script.dialled() == [2])
            script.feed(.dialFailed(Self.peer(2), lacksAddress: true))
        }
        #expect(script.dialled(after: .milliseconds(1)) == [])
        script.feed(.learned(Self.peer(2)))
        #expect(script.dialled(after: .milliseconds(1)) == [2])
    }

    @Test func dialsAtOnceAndMemoryAreBounded() {
        var script = PeerScript { $0.target = 100 }
        let book = (1..<6_000).map { PeerScript.candidate($0) }
        #expect(script.dialled(book).count == PeerPlanner.dialsAtOnce)
        var plan = DialPlan()
        var random = SeededGenerator(seed: 1)
        for number in 0..<(DialPlan.capacity + 100) {
            plan.failed(Self.peer(number), isWanted: false, now: .seconds(number), &random)
        }
        let remembered = (0..<(DialPlan.capacity + 100)).count { plan.failures(of: Self.peer($0)) > 0 }
        #expect(remembered == DialPlan.capacity)
    }
}
