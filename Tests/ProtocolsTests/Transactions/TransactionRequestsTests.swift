import Crypto
import LibP2P
import Multiformats
import Testing

@testable import Protocols

@Suite struct TransactionRequestsTests {
    let p = peer(1)
    let q = peer(2)
    let r = peer(3)

    static func peer(_ seed: Int) -> PeerID {
        let seed = Hash.sha256(of: Array("peer \(seed)".utf8)).array
        do { return try PrivateKey(ed25519Seed: seed).publicKey.peerID } catch {
            preconditionFailure("\(error)")
        }
    }

    func id(_ number: Int) -> Hash { Hash.sha256(of: Array("\(number)".utf8)) }

    /// The requests, and a clock that only advances.
    private struct Table {
        var requests = TransactionRequests(seed: 1)
        var now = Duration.zero
        /// The transactions that the node has.
        var known: Set<Hash> = []

        mutating func announced(_ ids: [Hash], by peer: PeerID, isTrusted: Bool = false) -> [Hash] {
            let announcer = TransactionRequests.Announcer(peer: peer, isTrusted: isTrusted, stream: 0)
            return requests.announced(ids, by: announcer, most: .max, now: now) { known.contains($0) }.asked
        }

        func doubts(of peer: PeerID) -> Int { requests.deliveries.doubts(of: peer, now: now) }

        mutating func delivered(_ id: Hash, by peer: PeerID) {
            requests.delivered(id, by: peer, now: now)
        }

        mutating func gone(_ id: Hash, from peer: PeerID) -> [PeerID] {
            requests.gone(id, from: peer, now: now).map(\.peer)
        }

        mutating func left(_ peer: PeerID, isExcused: Bool = false) -> [TransactionRequests.Want] {
            requests.left(peer, stream: 0, isExcused: isExcused, now: now)
        }

        /// Which peers are asked in each second until then, and which are reported.
        mutating func run(
            to second: Int64, doing: (PeerID) -> TransactionRequests.Progress? = { _ in nil }
        ) -> (asked: [(Int64, PeerID)], stalling: [(Int64, PeerID)]) {
            var asked: [(Int64, PeerID)] = []
            var stalling: [(Int64, PeerID)] = []
            while now < .seconds(second) {
                now += .seconds(1)
                let (again, reported) = requests.expire(now: now, doing: doing) { known.contains($0) }
                asked += again.map { (now.components.seconds, $0.peer) }
                stalling += reported.map { (now.components.seconds, $0) }
            }
            return (asked, stalling)
        }
    }

    @Test func eachIsAskedOfOnePeer() {
        var table = Table()
        #expect(table.announced([id(1), id(2)], by: p) == [id(1), id(2)])
        #expect(table.announced([id(2), id(3), id(2)], by: q) == [id(3)])
        #expect(table.requests.count == 3)
        table.requests.came(id(1))
        #expect(table.requests.count == 2)
        #expect(table.announced([id(1)], by: q) == [id(1)], "the caller knows what it has")
    }

    /// A trusted peer that delivers is waited for, up to ten seconds; a stranger, or one that has stopped, is not.
    @Test(arguments: [true, false]) func onlyATrustedPeerHasLonger(isTrusted: Bool) {
        var table = Table()
        _ = table.announced((1...9).map(id), by: p, isTrusted: isTrusted)
        #expect(table.announced([id(9)], by: q).isEmpty)
        var asked: [Int64] = []
        for second in 1...12 as ClosedRange<Int64> {
            if second <= 5 { table.delivered(id(Int(second)), by: p) }
            asked += table.run(to: second).asked.map(\.0)
        }
        #expect(asked == [isTrusted ? 6 : 2])
        var steady = Table()
        _ = steady.announced((1...30).map(id), by: p, isTrusted: isTrusted)
        #expect(steady.announced([id(30)], by: q).isEmpty)
        asked = []
        for second in 1...12 as ClosedRange<Int64> {
            steady.delivered(id(Int(second)), by: p)
            asked += steady.run(to: second, doing: { _ in .arriving }).asked.map(\.0)
        }
        #expect(asked == [isTrusted ? 10 : 2])
    }

    @Test func lateIsAskedOfMoreAndMore() {
        var table = Table()
        let others = (10..<18).map { Self.peer($0) }
        _ = table.announced([id(1)], by: p)
        for other in others { #expect(table.announced([id(1)], by: other).isEmpty) }
        let (asked, _) = table.run(to: 30)
        #expect(asked.map(\.0) == [2, 4, 4, 6, 6, 6, 6, 8])
        #expect(Set(asked.map(\.1)) == Set(others))
        #expect(table.requests.count == 0, "no peer is left")
    }

    @Test func trustedPeersAreAskedFirst() {
        var table = Table()
        _ = table.announced([id(1)], by: p)
        for number in 10..<17 { _ = table.announced([id(1)], by: Self.peer(number)) }
        _ = table.announced([id(1)], by: q, isTrusted: true)
        let (asked, _) = table.run(to: 2)
        #expect(asked.map(\.1) == [q])
    }

    @Test func manyStrangersDoNotDisplaceATrustedPeerOrEachOther() {
        var staysFirst = 0
        for seed in 0..<200 {
            var table = Table(requests: TransactionRequests(seed: UInt64(seed)))
            _ = table.announced([id(1)], by: p)
            for number in 10..<26 { _ = table.announced([id(1)], by: Self.peer(number)) }
            _ = table.announced([id(1)], by: q, isTrusted: true)
            let asked = table.run(to: 30).asked.map(\.1)
            #expect(asked.count == OtherAnnouncers.capacity)
            #expect(asked.first == q)
            if asked.contains(Self.peer(10)) { staysFirst += 1 }
        }
        // Seven of sixteen stay, whether they came first or last.
        #expect((40...140).contains(staysFirst), "\(staysFirst)")
    }

    @Test func whoLetsDownIsAskedLastAndReportedAndThenNotAsked() {
        var table = Table()
        _ = table.announced([id(1)], by: p)
        var reported = table.run(to: 10).stalling
        #expect(reported.isEmpty, "once is excused")
        #expect(table.doubts(of: p) == 1)
        // It announces first again, and others do not wait for it.
        #expect(table.announced([id(2)], by: p) == [id(2)])
        #expect(table.announced([id(2)], by: q) == [id(2)], "others do not wait for it")
        table.delivered(id(2), by: q)
        _ = table.announced([id(3)], by: p)
        reported = table.run(to: 20).stalling
        #expect(reported.map(\.1) == [p])
        for turn in 3...6 {
            _ = table.announced([id(turn + 1)], by: p)
            _ = table.run(to: Int64(turn) * 10)
        }
        #expect(table.announced([id(9)], by: p).isEmpty, "it is no longer asked")
        _ = table.run(to: 600)
        #expect(table.announced([id(9)], by: p) == [id(9)], "doubts are forgotten in time")
    }

    @Test func oneStallOfManyRequestsIsOneDoubt() {
        var table = Table()
        for second in 0..<5 {
            _ = table.announced((0..<200).map { id(second * 200 + $0) }, by: p)
            #expect(table.run(to: Int64(second + 1)).stalling.isEmpty)
        }
        #expect(table.run(to: 16).stalling.isEmpty)
        #expect(table.doubts(of: p) == 1)
    }

    @Test func whoDeliversMostIsNotDoubted() {
        var table = Table()
        _ = table.announced((0..<100).map(id), by: p)
        for number in 0..<60 { table.delivered(id(number), by: p) }
        _ = table.run(to: 10)
        #expect(table.requests.count == 0)
        #expect(table.doubts(of: p) == 0)
    }

    @Test func whatIsArrivingIsNoLetDown() {
        var table = Table()
        _ = table.announced([id(1)], by: p)
        _ = table.announced([id(1)], by: q)
        #expect(table.run(to: 29) { $0 == p ? .arriving : .held }.asked.map(\.1) == [q])
        #expect(table.requests.count == 1)
        #expect(table.doubts(of: p) == 0)
        _ = table.run(to: 31) { $0 == p ? .arriving : .held }
        #expect(table.doubts(of: p) == 1)
        _ = table.run(to: 100) { _ in .held }
        #expect(table.doubts(of: q) == 0, "this node does not read")
    }

    @Test func leavingPeersRequestsMoveOn() {
        var table = Table()
        _ = table.announced([id(3), id(2), id(1)], by: p)
        _ = table.announced([id(1), id(3)], by: q)
        let again = table.left(p)
        #expect(again.map(\.id) == [id(3), id(1)], "in the order of the requests")
        #expect(again.allSatisfy { $0.peer == q })
        #expect(table.requests.count == 2)
        #expect(table.left(p).isEmpty)
        #expect(table.gone(id(1), from: p).isEmpty)
        #expect(table.gone(id(1), from: q).isEmpty)
        _ = table.run(to: 10)
        #expect(table.requests.count == 0)
    }

    @Test func onlyWhatAStreamWasAskedForMovesOnWithIt() {
        var table = Table()
        _ = table.announced([id(1)], by: p)
        _ = table.announced([id(1)], by: q)
        #expect(table.requests.left(p, stream: 1, isExcused: false, now: table.now).isEmpty)
        #expect(table.left(p).count == 1)
    }

    @Test func strangersLeaveRoomForOthers() {
        var table = Table()
        var taken: [Int] = []
        let trusted = Self.peer(100)
        for stranger in 0..<40 {
            let invented = (0..<8_192).map { id(stranger * 10_000 + $0) }
            taken.append(table.announced(invented, by: Self.peer(stranger)).count)
        }
        #expect(table.requests.count <= TransactionRequests.maxInFlight / 2)
        #expect(taken.allSatisfy { $0 > 0 })
        let many = (0..<TransactionRequests.maxPerPeer + 10).map { id(1_000_000 + $0) }
        #expect(table.announced(many, by: trusted, isTrusted: true).count == TransactionRequests.maxPerPeer)
        table.delivered(many[0], by: trusted)
        #expect(table.announced([many.last ?? .zero], by: trusted, isTrusted: true).count == 1)
        _ = table.run(to: 100)
        #expect(table.requests.count == 0)
    }

    @Test func whatFindsNoRoomIsLeft() {
        var table = Table()
        let ids = (0..<TransactionRequests.maxPerPeer + 10).map { id($0) }
        let announcer = TransactionRequests.Announcer(peer: p, isTrusted: true, stream: 0)
        #expect(table.requests.room(for: announcer, now: .zero) == TransactionRequests.maxPerPeer)
        let (asked, left) = table.requests.announced(ids, by: announcer, most: .max, now: .zero) { _ in false
        }
        #expect(asked + left == ids)
        #expect(asked.count == TransactionRequests.maxPerPeer)
        #expect(table.requests.room(for: announcer, now: .zero) == 0)
        // What another peer is asked for is not left: it is remembered with its announcers.
        let others = (0..<40).map { Self.peer(10 + $0) }
        for other in others {
            let stranger = TransactionRequests.Announcer(peer: other, isTrusted: false, stream: 0)
            let room = table.requests.room(for: stranger, now: .zero)
            #expect(room > 0)
            let invented = (0..<room).map {
                id(100_000 * other.bytes.count + Int(other.bytes.last ?? 0) * 10_000 + $0)
            }
            _ = table.requests.announced(asked, by: stranger, most: .max, now: .zero) { _ in false }
            let choice = table.requests.announced(invented, by: stranger, most: .max, now: .zero) { _ in false
            }
            #expect(choice.left.isEmpty, "there was room for \(room)")
        }
        table.delivered(asked[0], by: p)
        #expect(table.requests.room(for: announcer, now: .zero) == 1)
        #expect(table.requests.isAsking(p))
    }

    @Test func noMoreAreAskedForThanTheNodeHasRoomFor() {
        var table = Table()
        let announcer = TransactionRequests.Announcer(peer: p, isTrusted: true, stream: 0)
        let ids = (0..<10).map { id($0) }
        #expect(table.requests.open(ids, by: announcer, most: 0, now: .zero).isEmpty)
        let (asked, left) = table.requests.announced(ids, by: announcer, most: 3, now: .zero) { _ in false }
        #expect(asked == Array(ids[..<3]) && left == Array(ids[3...]))
        #expect(table.requests.openCount == 3)
        #expect(
            table.requests.announced(left, by: announcer, most: 0, now: .zero) { _ in false }.left == left)
    }

    /// A peer in doubt is asked for little, and one in great doubt for nothing.
    @Test func doubtsLimitTheRoom() {
        var table = Table()
        let announcer = TransactionRequests.Announcer(peer: p, isTrusted: true, stream: 0)
        for turn in 1...4 {
            _ = table.announced([id(turn)], by: p)
            _ = table.run(to: Int64(turn) * 10)
            #expect(table.doubts(of: p) == turn)
            let room = table.requests.room(for: announcer, now: table.now)
            #expect(room == (turn < Deliveries.mostDoubts ? TransactionRequests.maxDoubted : 0))
        }
    }

    // MARK: Who is to blame

    @Test func whoWasNotAskedAfterAllIsNotDoubted() {
        var table = Table()
        for round in 0..<6 {
            let (id, silent) = (id(round), Self.peer(10 + round))
            _ = table.announced([id], by: silent)
            _ = table.announced([id], by: q)
            #expect(table.run(to: Int64(round) * 12 + 2).asked.map(\.1) == [q])
            // It has come with a block meanwhile.
            table.requests.came(id)
            #expect(table.requests.withdrawn(id, from: q, now: table.now).isEmpty)
            #expect(table.run(to: Int64(round) * 12 + 12).stalling.isEmpty)
            #expect(table.doubts(of: q) == 0)
            #expect(table.doubts(of: silent) == 1)
        }
    }

    @Test func whoSaysGoneToEverythingIsDoubted() {
        var table = Table()
        for number in 0..<3 {
            _ = table.announced([id(number)], by: p)
            _ = table.announced([id(number)], by: q)
            #expect(table.gone(id(number), from: p) == [q])
            table.delivered(id(number), by: q)
        }
        _ = table.run(to: 10)
        #expect(table.doubts(of: p) == 1)
        #expect(table.doubts(of: q) == 0)
        _ = table.announced([id(9)], by: p)
        #expect(table.announced([id(9)], by: q) == [id(9)], "others do not wait for it")
        #expect(table.gone(id(9), from: p).isEmpty)
        table.delivered(id(9), by: q)
        #expect(table.run(to: 20).stalling.map(\.1) == [p])
    }

    @Test func goneAfterAnothersDeliveryIsALetDownToo() {
        var table = Table()
        _ = table.announced([id(1)], by: p)
        _ = table.announced([id(1)], by: q)
        #expect(table.run(to: 2).asked.map(\.1) == [q])
        table.delivered(id(1), by: q)
        #expect(table.gone(id(1), from: p).isEmpty)
        _ = table.run(to: 10)
        #expect(table.doubts(of: p) == 1)
    }

    /// A peer that is ahead no longer has what its newest block contains.
    @Test(arguments: [true, false]) func goneWithABlockIsNoLetDown(isKnownBefore: Bool) {
        var table = Table()
        _ = table.announced([id(1), id(2)], by: p)
        if isKnownBefore { table.requests.came(id(1)) }
        #expect(table.gone(id(1), from: p).isEmpty)
        table.delivered(id(2), by: p)
        table.known = [id(1)]
        _ = table.announced([id(3)], by: p)
        #expect(table.gone(id(3), from: p).isEmpty)
        table.known = [id(1), id(3)]
        _ = table.run(to: 30)
        #expect(table.doubts(of: p) == 0)
        #expect(table.requests.isIdle)
    }

    @Test func whatIsGoneEverywhereIsALetDown() {
        var table = Table()
        _ = table.announced([id(1)], by: p)
        #expect(table.gone(id(1), from: p).isEmpty)
        // No peer waits for another.
        #expect(table.announced([id(1)], by: q) == [id(1)])
        _ = table.run(to: 10)
        #expect(table.doubts(of: p) == 1)
    }

    @Test func whoEndsItsStreamsIsDoubtedOnceATurn() {
        var table = Table()
        for number in 0..<5 {
            let ids = (0..<20).map { id(number * 100 + $0) }
            _ = table.announced(ids, by: p)
            _ = table.left(p)
            _ = table.run(to: Int64(number) * 2 + 2)
        }
        #expect(table.doubts(of: p) == 1)
        _ = table.run(to: 30)
        #expect(table.doubts(of: p) == 1)
        #expect(table.requests.isIdle)
        _ = table.announced([id(1_000)], by: q)
        _ = table.left(q, isExcused: true)
        _ = table.run(to: 60)
        #expect(table.doubts(of: q) == 0)
    }

    /// What was delivered long ago does not count.
    @Test func eachTurnIsJudgedByItself() {
        var table = Table()
        func batch(_ second: Int) -> [Hash] { (0..<50).map { id(second * 50 + $0) } }
        for second in 0..<20 {
            _ = table.announced(batch(second), by: p)
            if second > 0 { for id in batch(second - 1) { table.delivered(id, by: p) } }
            _ = table.run(to: Int64(second + 1))
        }
        _ = table.announced((0..<100).map { id(5_000 + $0) }, by: p)
        for id in batch(19) { table.delivered(id, by: p) }
        _ = table.run(to: 40)
        #expect(table.doubts(of: p) == 1)
    }

    // MARK: Many strangers

    @Test func announcingAgainDrawsNoNewLot() {
        var stays = 0
        let strangers = (10..<25).map(Self.peer)
        for seed in 0..<200 {
            var table = Table(requests: TransactionRequests(seed: UInt64(seed)))
            _ = table.announced([id(1)], by: p)
            _ = table.announced([id(1)], by: q)
            for _ in 0..<20 {
                for stranger in strangers { _ = table.announced([id(1)], by: stranger) }
            }
            if table.run(to: 30).asked.map(\.1).contains(q) { stays += 1 }
        }
        // Eight of sixteen stay.
        #expect((60...140).contains(stays), "\(stays)")
    }

    @Test func oneMoreStrangerFindsRoom() {
        var table = Table()
        for stranger in 0..<60 {
            _ = table.announced((0..<1_000).map { id(stranger * 10_000 + $0) }, by: Self.peer(stranger))
        }
        let wanted = table.announced((0..<1_000).map { id(1_000_000 + $0) }, by: Self.peer(100))
        #expect(wanted.count > 100, "\(wanted.count)")
        #expect(table.requests.count <= TransactionRequests.maxInFlight / 2, "others give up places")
        _ = table.run(to: 100)
        #expect(table.requests.count == 0)
        #expect(table.requests.isIdle)
    }

    /// What a peer has no place for is not looked up.
    @Test func withoutAPlaceTheIndexIsNotAsked() {
        var requests = TransactionRequests(seed: 1)
        var looks = 0
        func announce(_ ids: [Hash], _ peer: PeerID, _ now: Duration) -> Int {
            let announcer = TransactionRequests.Announcer(peer: peer, isTrusted: false, stream: 0)
            return requests.announced(ids, by: announcer, most: .max, now: now) { _ in
                looks += 1
                return false
            }.asked.count
        }
        let ids = (0..<10_000).map { id($0) }
        let asked = announce(ids, p, .zero)
        #expect(asked < 10_000)
        #expect(looks == asked)
        _ = announce(Array(ids.prefix(asked)), q, .seconds(1))
        #expect(looks == asked, "what another peer is asked for is not looked up")
    }

    @Test func aStreamsEndCostsWhatWasAskedOnIt() {
        func cycles(_ table: inout Table) -> Duration {
            ContinuousClock().measure {
                for number in 0..<500 {
                    _ = table.announced([id(-number)], by: p)
                    _ = table.left(p, isExcused: true)
                }
            }
        }
        var (empty, full) = (Table(), Table())
        for stranger in 0..<8 {
            _ = full.announced((0..<8_192).map { id(stranger * 10_000 + $0) }, by: Self.peer(10 + stranger))
        }
        _ = cycles(&empty)
        let (quick, slow) = (cycles(&empty), cycles(&full))
        #expect(slow < quick * 10 + .milliseconds(100), "\(slow), not \(quick)")
    }
}
