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

    /// The requests, and a clock that only goes on.
    private struct Table {
        var requests = TransactionRequests(seed: 1)
        var now = Duration.zero

        mutating func announced(_ ids: [Hash], by peer: PeerID, isTrusted: Bool = false) -> [Hash] {
            requests.announced(ids, by: peer, isTrusted: isTrusted, now: now)
        }

        /// Who is asked in each second until then, and who is reported.
        mutating func run(
            to second: Int64, doing: (PeerID) -> TransactionRequests.Progress? = { _ in nil }
        ) -> (asked: [(Int64, PeerID)], stalling: [(Int64, PeerID)]) {
            var asked: [(Int64, PeerID)] = []
            var stalling: [(Int64, PeerID)] = []
            while now < .seconds(second) {
                now += .seconds(1)
                let (again, reported) = requests.expire(now: now, doing: doing)
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
        table.requests.received(id(1))
        #expect(table.requests.count == 2)
        #expect(table.announced([id(1)], by: q) == [id(1)], "the caller knows what it has")
    }

    @Test func lateIsAskedOfMoreAndMore() {
        var table = Table()
        let others = (10..<18).map { Self.peer($0) }
        _ = table.announced([id(1)], by: p)
        for other in others { #expect(table.announced([id(1)], by: other).isEmpty) }
        let (asked, _) = table.run(to: 30)
        #expect(asked.map(\.0) == [2, 4, 4, 6, 6, 6, 6, 8])
        #expect(Set(asked.map(\.1)) == Set(others))
        #expect(table.requests.count == 0, "nobody is left")
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
            #expect(asked.count == TransactionRequests.maxOthers)
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
        #expect(reported.isEmpty, "once may happen to anybody")
        #expect(table.requests.doubts(of: p, now: table.now) == 1)
        // It announces first again; nobody waits for it.
        #expect(table.announced([id(2)], by: p) == [id(2)])
        #expect(table.announced([id(2)], by: q) == [id(2)], "it is not waited for")
        table.requests.received(id(2), from: q)
        _ = table.announced([id(3)], by: p)
        reported = table.run(to: 20).stalling
        #expect(reported.map(\.1) == [p])
        for turn in 3...6 {
            _ = table.announced([id(turn + 1)], by: p)
            _ = table.run(to: Int64(turn) * 10)
        }
        #expect(table.announced([id(9)], by: p).isEmpty, "it is not asked any more")
        _ = table.run(to: 600)
        #expect(table.announced([id(9)], by: p) == [id(9)], "that is forgiven in time")
    }

    @Test func oneStallOfManyRequestsIsOneDoubt() {
        var table = Table()
        for second in 0..<5 {
            _ = table.announced((0..<200).map { id(second * 200 + $0) }, by: p)
            #expect(table.run(to: Int64(second + 1)).stalling.isEmpty)
        }
        #expect(table.run(to: 16).stalling.isEmpty)
        #expect(table.requests.doubts(of: p, now: table.now) == 1)
    }

    @Test func whoDeliversMostIsNotDoubted() {
        var table = Table()
        _ = table.announced((0..<100).map(id), by: p)
        for number in 0..<60 { table.requests.received(id(number), from: p) }
        _ = table.run(to: 10)
        #expect(table.requests.count == 0)
        #expect(table.requests.doubts(of: p, now: table.now) == 0)
    }

    @Test func whatIsArrivingIsNoLetDown() {
        var table = Table()
        _ = table.announced([id(1)], by: p)
        _ = table.announced([id(1)], by: q)
        #expect(table.run(to: 29) { $0 == p ? .arriving : .held }.asked.map(\.1) == [q])
        #expect(table.requests.count == 1)
        #expect(table.requests.doubts(of: p, now: table.now) == 0)
        _ = table.run(to: 31) { $0 == p ? .arriving : .held }
        #expect(table.requests.doubts(of: p, now: table.now) == 1)
        _ = table.run(to: 100) { _ in .held }
        #expect(table.requests.doubts(of: q, now: table.now) == 0, "this node does not read")
    }

    @Test func leavingPeersRequestsMoveOn() {
        var table = Table()
        _ = table.announced([id(1), id(2), id(3)], by: p)
        _ = table.announced([id(1), id(3)], by: q)
        let again = table.requests.left(p, now: .seconds(1))
        #expect(again.map(\.id) == [id(1), id(3)].sorted())
        #expect(again.allSatisfy { $0.peer == q })
        #expect(table.requests.count == 2)
        #expect(table.requests.left(p, now: .seconds(1)).isEmpty)
        #expect(table.requests.gone(id(1), from: p, now: .seconds(1)).isEmpty)
        #expect(table.requests.gone(id(1), from: q, now: .seconds(1)).isEmpty)
        #expect(table.requests.count == 1)
    }

    @Test func strangersLeaveRoomForOthers() {
        var table = Table()
        var taken: [Int] = []
        let trusted = Self.peer(100)
        for stranger in 0..<40 {
            let invented = (0..<8_192).map { id(stranger * 10_000 + $0) }
            taken.append(table.announced(invented, by: Self.peer(stranger)).count)
        }
        #expect(taken.reduce(0, +) <= TransactionRequests.maxInFlight / 2)
        #expect(taken.allSatisfy { $0 > 0 })
        let many = (0..<TransactionRequests.maxPerPeer + 10).map { id(1_000_000 + $0) }
        #expect(table.announced(many, by: trusted, isTrusted: true).count == TransactionRequests.maxPerPeer)
        table.requests.received(many[0], from: trusted)
        #expect(table.announced([many.last ?? .zero], by: trusted, isTrusted: true).count == 1)
        _ = table.run(to: 100)
        #expect(table.requests.count == 0)
    }
}
