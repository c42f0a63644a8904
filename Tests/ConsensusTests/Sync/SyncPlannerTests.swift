import Crypto
import Multiformats
import Reactor
import TestSupport
import Testing

@testable import Consensus

/// Block sync from peers that have all, some or no blocks, stall or lie.
struct SyncPlannerTests {
    typealias Planner = SyncPlanner<SyncWorld.Sent, Int64>

    func peer(_ number: Int) throws -> PeerID { try TestChain.key(number + 1).publicKey.peerID }

    func world(
        _ behaviours: [SyncWorld.Behaviour], ways: Planner.Ways = [.range, .height, .hash]
    ) throws -> SyncWorld {
        var world = SyncWorld()
        for (number, behaviour) in behaviours.enumerated() {
            let id = try peer(number)
            world.peers[id] = behaviour
            world.send(.peer(id, ways, trust: 0))
        }
        return world
    }

    @Test(arguments: [Planner.Ways.range, .height])
    func deliversInOrderFromManyPeers(_ ways: Planner.Ways) throws {
        var world = try world([.full(300), .full(300), .full(300)], ways: ways)
        world.send(.start(target: 300, from: try peer(0)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...300))
        for number in 0..<3 {
            let id = try peer(number)
            #expect(world.sent[id, default: 0] > 20, "all of them helped")
        }
    }

    @Test func rangesTakeFewRequests() throws {
        var world = try world([.full(2000), .full(2000)])
        world.send(.start(target: 2000, from: try peer(0)))
        world.run()
        #expect(world.delivered == Array(1...2000))
        #expect(world.requests.count < 150)
    }

    @Test func aPeerThatReturnsBeforeItsRequestHasEndedIsAskedAgain() throws {
        var world = try world([.stalls])
        let peer = try peer(0)
        world.send(.start(target: 10, from: peer))
        let request = try #require(world.requests.first)
        world.send(.peerGone(peer))
        world.peers[peer] = .full(10)
        world.send(.peer(peer, .range, trust: 0))
        world.send(.start(target: 10, from: peer))
        world.send(.ended(request: request.id, .failed))
        world.finished = nil
        world.run()
        #expect(world.delivered == Array(1...10))
    }

    @Test func whatIsCommittedOrSentByALiarNeedsNoCheck() throws {
        var planner = Planner(tip: 0)
        func send(_ event: Planner.Event) -> [Planner.Action] {
            var actions: [Planner.Action] = []
            planner.handle(event, at: Instant(elapsed: .zero, wallClock: 0), actions: &actions)
            return actions
        }
        let peer = try peer(0)
        _ = send(.peer(peer, .range, trust: 0))
        var checks: [Planner.Check] = []
        for case .request(let request) in send(.start(target: 5, from: peer)) {
            let sent = (1...5).map {
                Planner.Arrival(SyncWorld.Sent(height: $0, isForked: $0 == 3), size: 1_000)
            }
            for case .check(let some) in send(.blocks(request: request.id, first: 1, sent)) { checks += some }
        }
        #expect(checks.map { planner.isChecking($0) } == [true, true, true, true, true])
        _ = send(.judged([.init(of: checks[1], .proven(2, previous: SyncWorld.hash(1)))]))
        #expect(checks.map { planner.isChecking($0) } == [true, false, true, true, true])
        _ = send(.committed(height: 1, newRules: false))
        #expect(checks.map { planner.isChecking($0) } == [false, false, true, true, true])
        _ = send(.judged([.init(of: checks[2], .wrong)]))
        #expect(!checks.contains { planner.isChecking($0) })
    }

    @Test func windowsAndQueuesAreBounded() throws {
        var single = try world([.stalls], ways: .height)
        single.send(.start(target: 10_000, from: try peer(0)))
        #expect(single.requests.count == 1, "it has proven nothing")
        var ranges = try world([.stalls])
        ranges.send(.start(target: 10_000, from: try peer(0)))
        #expect(ranges.requests.count == 1)
        #expect(ranges.requests.allSatisfy { $0.count <= Planner.rangeCount })
    }

    @Test(arguments: [Planner.Ways.range, .height])
    func whoHasProvenABlockIsAskedForMoreAtOnce(_ ways: Planner.Ways) throws {
        var world = try world([.full(10_000)], ways: ways)
        world.send(.start(target: 10_000, from: try peer(0)))
        var most = 0
        for time in 10...100 {
            world.run(.milliseconds(time))
            most = max(most, world.planner.peers[try peer(0)]?.requests ?? 0)
        }
        #expect(most == (ways == .range ? Planner.rangesPerPeer : Planner.requestsPerPeer))
        world.peers[try peer(0)] = .stalls
        world.run(.seconds(30))
        world.peers[try peer(0)] = .full(10_000)
        #expect(world.planner.running.values.count { !$0.isLate } <= 1, "nor after it has failed")
    }

    @Test func bytesOfBlocksThatAreStillComingAreBounded() throws {
        // Twenty peers begin blocks of the maximum size and complete none.
        var world = try world([SyncWorld.Behaviour](repeating: .stalls, count: 20), ways: .height)
        let (largest, limit) = (8 << 20, Planner.heldBytes)
        world.send(.largestBlock(largest))
        world.send(.start(target: 10_000, from: try peer(0)))
        #expect(world.requests.count <= limit / largest + 1)
        // Peers that have proven small blocks are expected to send small ones until they do not.
        var trusted = try self.world([SyncWorld.Behaviour](repeating: .full(100), count: 20), ways: .height)
        trusted.send(.start(target: 10_000, from: try peer(0)))
        trusted.run(.milliseconds(30))
        #expect(trusted.planner.running.count > limit / largest)
        for (id, request) in trusted.planner.running where request.next > trusted.planner.delivered + 1 {
            for bytes in stride(from: 64 << 10, to: largest, by: 64 << 10) {
                trusted.send(.progress(request: id, bytes: bytes))
            }
        }
        let arriving = trusted.planner.running.values.reduce(0) { $0 + ($1.isCancelled ? 0 : $1.arriving) }
        #expect(arriving <= limit)
    }

    @Test(arguments: [Planner.Ways.range, .height])
    func tenEmptyPeersAndTwoFullOnes(_ ways: Planner.Ways) throws {
        var world = try world(
            [SyncWorld.Behaviour](repeating: .full(0), count: 10) + [.full(500), .full(500)], ways: ways)
        world.send(.start(target: 500, from: try peer(11)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...500))
        let empty = try (0..<10).map { try peer($0) }
        let asked = world.requests.filter { empty.contains($0.from) }.count
        #expect(asked <= 10 * Planner.requestsPerPeer, "each was asked once")
        #expect(world.now < .seconds(10))
    }

    @Test func oneHonestPeerAmongLiarsStallersAndFailers() throws {
        var world = try world([.lies, .stalls, .fails, .full(200), .stalls, .lies, .busy])
        world.send(.start(target: 200, from: try peer(3)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...200))
        #expect(world.now < .seconds(120))
    }

    @Test func aPeerWithAForkIsFoundOut() throws {
        var world = try world([.forked(500, from: 100), .full(500)])
        world.send(.start(target: 500, from: try peer(0)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...500))
    }

    @Test func aSlowPeerIsEnough() throws {
        var world = try world([.slow(3, .seconds(20)), .full(0)])
        world.send(.start(target: 3, from: try peer(0)))
        // It has enough time when its claim is tried again.
        for _ in 0..<4 where world.finished != true {
            world.finished = nil
            world.run()
        }
        #expect(world.finished == true)
        #expect(world.delivered == [1, 2, 3])
    }

    @Test func aQuickPeerTakesOverFromASlowOne() throws {
        var world = try world([.slow(400, .seconds(3)), .full(400)])
        world.send(.start(target: 400, from: try peer(0)))
        world.run()
        #expect(world.delivered == Array(1...400))
        #expect(world.now < .seconds(20), "the slow peer's whole request delayed nobody")
    }

    @Test func partOfTheChainHelps() throws {
        var world = try world([.full(120), .part(80...300), .full(40), .full(250)])
        world.send(.start(target: 300, from: try peer(1)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...300))
    }

    @Test func aGiantClaimIsDropped() throws {
        var world = try world([.claims, .full(50)])
        world.send(.start(target: .max, from: try peer(0)))
        world.run()
        #expect(world.delivered == Array(1...50))
        #expect(world.finished == false, "syncing ends")
        #expect(world.now < .seconds(120))
        // Nor is the same claim believed at once.
        world.finished = nil
        world.send(.start(target: .max, from: try peer(0)))
        #expect(world.finished == false)
        world.peers[try peer(1)] = .full(60)
        world.finished = nil
        world.send(.start(target: 60, from: try peer(1)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...60))
    }

    @Test func givesUpWhenNobodyHasMoreAndTriesAgain() throws {
        var world = try world([.full(5), .full(0)])
        world.send(.start(target: 9, from: try peer(0)))
        world.run()
        #expect(world.finished == false)
        #expect(world.delivered == [1, 2, 3, 4, 5])
        world.finished = nil
        world.peers[try peer(1)] = .full(9)
        world.send(.start(target: 9, from: try peer(1)))
        world.run()
        #expect(world.delivered == Array(1...9))
    }

    @Test func whatCameToNothingIsTriedAgainByItself() throws {
        var world = try world([.fails])
        world.send(.start(target: 9, from: try peer(0)))
        world.run()
        #expect(world.finished == false)
        world.finished = nil
        world.peers[try peer(0)] = .full(9)
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...9))
    }

    @Test func aPeerThatLeavesIsReplaced() throws {
        var world = try world([.stalls, .full(50)])
        world.send(.start(target: 50, from: try peer(0)))
        world.send(.peerGone(try peer(0)))
        world.run()
        #expect(world.finished == true)
        #expect(world.now < .seconds(4), "nothing had to time out")
    }

    @Test func aBusyPeerIsAskedAgainSoon() throws {
        var world = try world([.busy])
        world.send(.start(target: 5, from: try peer(0)))
        world.run(.seconds(3))
        #expect(world.finished == nil, "a busy peer is no reason to give up")
        world.peers[try peer(0)] = .full(5)
        world.run(.seconds(5))
        #expect(world.delivered == Array(1...5))
    }

    @Test(arguments: [SyncWorld.Behaviour.busy, .stalls, .claims])
    func whatIsClaimedAndNotProvenIsForgotten(_ behaviour: SyncWorld.Behaviour) throws {
        var world = try world([behaviour, .full(0)])
        let claimant = try peer(0)
        world.send(.start(target: 1_000_000, from: claimant))
        world.run(.seconds(65))
        #expect(world.finished == false, "and soon")
        #expect(world.stalled.contains(claimant))
        #expect(world.requests.filter { $0.from == claimant }.count < 20)
        // The peer may claim it again and gets a chance at intervals; each chance that it misses counts.
        for _ in 0..<10 {
            world.finished = nil
            world.send(.start(target: 1_000_000, from: claimant))
            #expect(world.finished == false)
        }
        let before = world.stalled.count
        for minute in 2...4 {
            world.finished = nil
            world.run(.seconds(60 * minute))
        }
        #expect(world.stalled.count > before)
    }

    @Test func aFalseClaimKeepsNobodyFromATrueOne() throws {
        var world = try world([.busy, .full(300), .stalls])
        world.send(.start(target: 1_000_000, from: try peer(0)))
        world.send(.start(target: 900_000, from: try peer(2)))
        world.send(.start(target: 300, from: try peer(1)))
        world.run(.seconds(60))
        #expect(world.delivered == Array(1...300))
        #expect(world.planner.target ?? 0 <= 300)
    }

    @Test func whoOftenDoesNotDeliverIsAskedLast() throws {
        // Each of its blocks takes longer than allowed, but it delivers some.
        var world = try world([.slow(10_000, .seconds(6)), .full(400)], ways: .height)
        world.send(.start(target: 400, from: try peer(0)))
        world.run()
        #expect(world.delivered == Array(1...400))
        for _ in 0..<3 {
            world.planner.letDowns.add(1, to: try peer(0), now: world.now)
        }
        world.finished = nil
        world.requests = []
        world.peers[try peer(1)] = .full(800)
        world.send(.start(target: 800, from: try peer(1)))
        world.run()
        #expect(world.delivered == Array(1...800))
        #expect(world.requests.allSatisfy { $0.from == (try? peer(1)) }, "another has all of it")
        // No other peer has more: then it is asked.
        world.finished = nil
        world.send(.start(target: 803, from: try peer(0)))
        world.run()
        #expect(world.delivered == Array(1...803))
    }

    @Test func timeOutsInARowPutASourceAtTheEndOfTheLine() throws {
        var world = try world([.stalls, .slow(20, .seconds(1))])
        world.send(.start(target: 20, from: try peer(1)))
        world.run()
        #expect(world.delivered == Array(1...20))
        let slow = try peer(0)
        world.send(.peerGone(slow))
        #expect(world.planner.letDowns.count(of: slow, now: world.now) > 0, "also when it reconnects")
    }

    @Test func ofEqualsTheTrustedIsAskedFirst() throws {
        var world = try world([.full(8), .full(8)], ways: .height)
        world.send(.peer(try peer(1), .height, trust: 2))
        world.send(.start(target: 1, from: try peer(0)))
        #expect(world.requests.map(\.from) == [try peer(1)])
    }

    @Test func blocksCommittedOtherwiseAreNotFetched() throws {
        var world = try world([.full(20)])
        world.send(.committed(height: 10, newRules: false))
        world.send(.start(target: 20, from: try peer(0)))
        world.run()
        #expect(world.delivered == Array(11...20))
        #expect(world.requests.allSatisfy { $0.first > 10 })
    }

    @Test func blocksBehindAChangeOfRulesAreKept() throws {
        var world = try world([.full(600), .full(600)])
        world.changes = [100, 101, 250, 599]
        world.send(.start(target: 600, from: try peer(0)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...600))
        #expect(world.sent.values.reduce(0, +) == 600, "nothing was fetched twice")
        #expect(world.now < .seconds(5))
    }

    @Test func aForkBehindAChangeOfRulesIsFoundOutInTime() throws {
        var world = try world([.forked(200, from: 60), .full(200)])
        world.changes = [50, 90, 120]
        world.send(.start(target: 200, from: try peer(0)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...200))
    }

    @Test func aGapIsFilledByItsHash() throws {
        // The first peer lacks one block; the second can only be asked by hash.
        var world = try world([.holed(30, 17)])
        let other = try peer(1)
        world.peers[other] = .full(30)
        world.send(.peer(other, .hash, trust: 0))
        world.send(.start(target: 30, from: try peer(0)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...30))
        let byHash = world.requests.filter { $0.from == other }
        #expect(byHash.map(\.first) == [17])
        #expect(byHash.map(\.hash) == [SyncWorld.hash(17)])
    }

    @Test func nothingIsHeldOnceItIsOver() throws {
        var world = try world([.full(100), .slow(200, .seconds(2))])
        world.send(.start(target: 100, from: try peer(0)))
        world.run()
        #expect(world.planner.slots.isEmpty)
        #expect(world.planner.heldSize == 0)
    }
}
