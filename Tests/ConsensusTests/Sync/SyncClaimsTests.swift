import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Consensus

/// Peers that claim heights: which claims are believed, and which peers are reported as stalled.
struct SyncClaimsTests {
    typealias Planner = SyncPlanner<SyncWorld.Sent, Int64>

    func peer(_ number: Int) throws -> PeerID { try TestChain.key(number + 1).publicKey.peerID }

    func world(_ behaviours: [SyncWorld.Behaviour]) throws -> SyncWorld {
        var world = SyncWorld()
        for (number, behaviour) in behaviours.enumerated() {
            let id = try peer(number)
            world.peers[id] = behaviour
            world.send(.peer(id, [.range, .height, .hash], trust: 0))
        }
        return world
    }

    /// Runs a chain with four blocks a second that are committed without the planner. The second peer reports them,
    /// while the first claims a height every five seconds. Returns the times at which the first was reported as
    /// stalled.
    private func live(_ world: inout SyncWorld, for seconds: Int) throws -> [Duration] {
        let (claimant, honest) = (try peer(0), try peer(1))
        var times: [Duration] = []
        for quarter in 0..<4 * seconds {
            let now = Duration.milliseconds(250 * quarter)
            world.finished = nil
            world.run(now)
            world.now = max(world.now, now)
            let height = Int64(quarter) + 1
            if quarter % 20 == 0 { world.send(.start(target: 1_000_000, from: claimant)) }
            world.peers[honest] = .full(height)
            // At times the node is two blocks behind for a moment.
            if quarter % 3 == 0 { world.send(.start(target: height + 1, from: honest)) }
            world.send(.committed(height: height, newRules: false))
            let before = times.count
            for _ in before..<world.stalled.count { times.append(world.now) }
        }
        return times
    }

    @Test(arguments: [SyncWorld.Behaviour.busy, .stalls, .claims, .fails, .full(0)])
    func aFalseClaimOnAQuickChainIsReportedAgainAndAgain(_ behaviour: SyncWorld.Behaviour) throws {
        var world = try world([behaviour, .full(0)])
        let times = try live(&world, for: 200)
        let claimant = try peer(0)
        #expect(world.stalled.allSatisfy { $0 == claimant })
        // Each report costs twenty points, and ten are forgiven a minute: at fifty the peer is disconnected.
        var points = 0.0
        var last = Duration.zero
        let gone = times.first { time in
            points = max(0, points - (time - last) / .seconds(6)) + 20
            last = time
            return points >= 50
        }
        #expect(gone.map { $0 <= .seconds(180) } ?? false, "\(times)")
    }

    @Test func theOnlySourceMayBeBusyWhenItsHeightIsProven() throws {
        var world = try world([.busy, .full(0)])
        let source = try peer(0)
        world.send(.heightProven(500))
        world.send(.start(target: 500, from: source))
        world.run(.seconds(600))
        #expect(world.stalled == [])
        #expect(world.finished == nil, "it is still asked")
        world.peers[source] = .full(500)
        world.run(.seconds(620))
        #expect(world.delivered == Array(1...500), "soon after its turn has come")
    }

    @Test func aSourceThatHasProvenBlocksMayBeBusyForAWhile() throws {
        var world = try world([.full(1_000), .full(0)])
        let source = try peer(0)
        world.send(.start(target: 1_000, from: source))
        world.run(.milliseconds(40))
        #expect(!world.delivered.isEmpty)
        world.peers[source] = .busy
        world.run(.seconds(280))
        #expect(world.stalled == [])
        world.peers[source] = .full(1_000)
        world.run(.seconds(300))
        #expect(world.delivered == Array(1...1_000))
    }

    @Test func aBusySourceWithoutAClaimIsNotReported() throws {
        var world = try world([.busy, .slow(40, .seconds(3))])
        world.send(.start(target: 40, from: try peer(1)))
        world.run(.seconds(200))
        #expect(world.delivered == Array(1...40))
        #expect(!world.stalled.contains(try peer(0)))
    }

    @Test func whoIsBusyOftenIsStillAskedWhenOthersCannotBe() throws {
        // The first peer was often busy; new peers are busy as well and must not keep it from being asked.
        var world = try world([.full(50), .busy, .busy, .busy])
        let honest = try peer(0)
        for _ in 0..<4 { world.planner.letDowns.add(1, to: honest, now: world.now) }
        world.send(.start(target: 50, from: honest))
        world.run(.seconds(5))
        #expect(world.delivered == Array(1...50))
        // Nor must a peer that stalls.
        world = try self.world([.full(50), .stalls])
        for _ in 0..<4 { world.planner.letDowns.add(1, to: honest, now: world.now) }
        world.send(.start(target: 50, from: honest))
        for second in 1...20 {
            world.run(.seconds(second))
            for (id, request) in world.planner.running where request.from == (try peer(1)) {
                world.send(.progress(request: id, bytes: second * (64 << 10)))
            }
        }
        #expect(world.delivered == Array(1...50))
    }

    @Test func whoHasLeftIsForgotten() throws {
        var world = try world([.full(0)])
        for number in 0..<40 {
            let ghost = try peer(1 + number % 4)
            world.send(.start(target: 1_000_000, from: ghost))
            world.send(.peerGone(ghost))
        }
        #expect(world.planner.peers.count == 1)
        let present = try peer(0)
        #expect(world.planner.running.values.allSatisfy { $0.from == present || $0.isLate })
    }

    @Test func peersThatDoNotTellHowTheyCanBeAskedAreFew() throws {
        var world = try world([.full(3)])
        for number in 0..<2 * Planner.mostUnknown {
            let key = try TestChain.key(number + 1)
            world.send(.start(target: 1_000_000, from: key.publicKey.peerID))
        }
        #expect(world.planner.peers.count <= 1 + Planner.mostUnknown)
        world.send(.start(target: 3, from: try peer(0)))
        world.run(.seconds(60))
        #expect(world.delivered == [1, 2, 3])
    }

    @Test func whoCannotBeAskedHasNothingToClaim() throws {
        var world = SyncWorld()
        world.send(.peer(try peer(0), [], trust: 0))
        world.send(.start(target: 9, from: try peer(0)))
        #expect(world.finished == false)
        #expect(world.requests.isEmpty)
    }
}
