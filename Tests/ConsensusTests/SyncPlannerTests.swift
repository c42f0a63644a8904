import Multiformats
import Testing

@testable import Consensus

/// Catching up: peers that have all, part or nothing, that stall and lie.
struct SyncPlannerTests {
    /// Plays peers of fixed behaviour against a planner, in virtual time.
    struct World {
        enum Behaviour { case full(Int64), empty, stalls, fails, lies, slow(Int64) }

        var planner = SyncPlanner<Int64>(tip: 0)
        var now: Duration = .zero
        var peers: [PeerID: Behaviour] = [:]
        var delivered: [Int64] = []
        var finished: Bool?
        var requests: [(height: Int64, from: PeerID)] = []
        private var pending: [(at: Duration, event: SyncPlanner<Int64>.Event)] = []

        mutating func send(_ event: SyncPlanner<Int64>.Event) {
            var actions: [SyncPlanner<Int64>.Action] = []
            planner.handle(event, now: now, actions: &actions)
            for action in actions {
                switch action {
                case .request(let height, let from):
                    requests.append((height, from))
                    answer(height, from)
                case .deliver(let height, let block):
                    #expect(block == height)
                    delivered.append(height)
                    pending.append((now + .milliseconds(2), .committed(height: height)))
                case .finished(let reached): finished = reached
                }
            }
        }

        private mutating func answer(_ height: Int64, _ from: PeerID) {
            func at(_ delay: Duration, _ event: SyncPlanner<Int64>.Event) {
                pending.append((now + delay, event))
            }
            switch peers[from] {
            case .full(let best):
                at(
                    .milliseconds(10),
                    height <= best
                        ? .block(height: height, height, size: 1000, from: from)
                        : .notFound(height: height, from: from, best: best))
            case .slow(let best):
                at(
                    .seconds(20),
                    height <= best
                        ? .block(height: height, height, size: 1000, from: from)
                        : .notFound(height: height, from: from, best: best))
            case .empty: at(.milliseconds(10), .notFound(height: height, from: from, best: 0))
            case .fails: at(.milliseconds(10), .failed(height: height, from: from))
            case .lies: at(.milliseconds(10), .lied(height: height, from: from))
            case .stalls, nil: break
            }
        }

        /// Runs until it has finished or `limit` has passed.
        mutating func run(_ limit: Duration = .seconds(3600)) {
            while finished == nil {
                let event = pending.indices.min { pending[$0].at < pending[$1].at }
                let deadline = planner.deadline
                if let event, deadline.map({ pending[event].at <= $0 }) ?? true {
                    let next = pending.remove(at: event)
                    now = max(now, next.at)
                    send(next.event)
                } else if let deadline {
                    now = max(now + .milliseconds(1), deadline)
                    send(.timer)
                } else {
                    return
                }
                if now > limit { return }
            }
        }
    }

    func peer(_ number: Int) throws -> PeerID { try TestChain.key(number).publicKey.peerID }

    func world(_ behaviours: [World.Behaviour]) throws -> World {
        var world = World()
        for (number, behaviour) in behaviours.enumerated() {
            let id = try peer(number)
            world.peers[id] = behaviour
            world.send(.peer(id, best: nil))
        }
        return world
    }

    @Test func deliversInOrderFromManyPeers() throws {
        var world = try world([.full(300), .full(300), .full(300)])
        world.send(.start(target: 300, from: try peer(0)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...300))
        for number in 0..<3 {
            let id = try peer(number)
            #expect(world.requests.filter { $0.from == id }.count > 50)
        }
    }

    @Test func windowsAndQueuesAreBounded() throws {
        var world = try world([.stalls])
        world.send(.start(target: 10_000, from: try peer(0)))
        #expect(world.requests.count == SyncPlanner<Int64>.requestsPerPeer)
    }

    @Test func tenEmptyPeersAndTwoFullOnes() throws {
        var world = try world([World.Behaviour](repeating: .empty, count: 10) + [.full(500), .full(500)])
        world.send(.start(target: 500, from: try peer(11)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...500))
        let empty = try (0..<10).map { try peer($0) }
        #expect(
            world.requests.filter { empty.contains($0.from) }.count <= 10 * SyncPlanner<Int64>.requestsPerPeer
        )
    }

    @Test func oneHonestPeerAmongLiarsStallersAndFailers() throws {
        var world = try world([.lies, .stalls, .fails, .full(200), .stalls, .lies])
        world.send(.start(target: 200, from: try peer(3)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == Array(1...200))
        #expect(world.now < .seconds(300))
    }

    @Test func aSlowPeerIsEnough() throws {
        var world = try world([.slow(3), .empty])
        world.send(.start(target: 3, from: try peer(0)))
        world.run()
        #expect(world.finished == true)
        #expect(world.delivered == [1, 2, 3])
    }

    @Test func givesUpWhenNobodyHasMore() throws {
        var world = try world([.full(5), .empty])
        world.send(.start(target: 9, from: try peer(0)))
        world.run()
        #expect(world.finished == false)
        #expect(world.delivered == [1, 2, 3, 4, 5])
        world.finished = nil
        world.peers[try peer(1)] = .full(9)
        world.send(.peer(try peer(1), best: 9))
        world.send(.start(target: 9, from: try peer(1)))
        world.run()
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

    @Test func blocksCommittedOtherwiseAreNotFetched() throws {
        var world = try world([.full(20)])
        world.send(.committed(height: 10))
        world.send(.start(target: 20, from: try peer(0)))
        world.run()
        #expect(world.delivered == Array(11...20))
        #expect(world.requests.allSatisfy { $0.height > 10 })
    }
}
