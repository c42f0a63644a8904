import Crypto
import Multiformats
import Testing

@testable import Protocols

@Suite struct HeldAnnouncementsTests {
    let p = TransactionRequestsTests.peer(1)
    let q = TransactionRequestsTests.peer(2)

    func id(_ number: Int) -> Hash { Hash.sha256(of: Array("\(number)".utf8)) }

    @Test func peersTakeTurnsAndKeepTheirOrder() {
        var held = HeldAnnouncements()
        held.add((0..<5).map(id), by: p, isTrusted: true)
        held.add((10..<12).map(id), by: q, isTrusted: true)
        var taken: [(PeerID, [Hash])] = []
        while let (peer, ids) = held.take({ _ in 3 }) { taken.append((peer, ids)) }
        #expect(taken.map(\.0) == [p, q, p])
        #expect(taken.map(\.1) == [(0..<3).map(id), (10..<12).map(id), (3..<5).map(id)])
        #expect(held.count == 0)
    }

    @Test func theNewestAreKept() {
        var held = HeldAnnouncements()
        let ids = (0..<HeldAnnouncements.perPeer + 10).map(id)
        held.add(ids, by: p, isTrusted: true)
        #expect(held.count == HeldAnnouncements.perPeer)
        #expect(held.take({ _ in 1 })?.ids == [ids[10]])
    }

    @Test func whatIsAnnouncedTwiceIsHeldOnce() {
        var held = HeldAnnouncements()
        held.add((0..<5).map(id), by: p, isTrusted: true)
        held.add((3..<7).map(id), by: p, isTrusted: true)
        held.add((0..<2).map(id), by: q, isTrusted: true)
        #expect(held.count == 9)
        #expect(held.count(of: p) == 7)
        #expect(held.take({ $0 == p ? 0 : 5 })?.ids == (0..<2).map(id), "the first is passed over")
        #expect(held.take({ $0 == p ? 0 : 5 }) == nil)
        #expect(held.take({ _ in 10 })?.ids == (0..<7).map(id))
    }

    @Test func whoLeavesIsForgotten() {
        var held = HeldAnnouncements()
        held.add((0..<100).map(id), by: p, isTrusted: false)
        held.forget(p)
        held.forget(q)
        #expect(held.count == 0)
        #expect(held.take({ _ in 10 }) == nil)
    }

    @Test func oneMoreStrangerFindsRoom() {
        var held = HeldAnnouncements()
        for stranger in 0..<50 {
            held.add(
                (0..<8_000).map { id(stranger * 10_000 + $0) },
                by: TransactionRequestsTests.peer(stranger + 10),
                isTrusted: false)
        }
        let full = held.count
        #expect(full <= HeldAnnouncements.capacity / 2)
        held.add((0..<100).map(id), by: p, isTrusted: false)
        var mine = 0
        while let (peer, ids) = held.take({ _ in 1_000 }) { mine += peer == p ? ids.count : 0 }
        #expect(mine == 100)
    }
}
