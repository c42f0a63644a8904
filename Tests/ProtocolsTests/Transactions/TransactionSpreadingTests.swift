import Crypto
import LibP2P
import Multiformats
import Testing

@testable import Protocols

@Suite struct TransactionSpreadingTests {
    private typealias Told = TransactionSpreading.Told

    let peers = (1...3).map { TransactionRequestsTests.peer($0) }

    func ids(_ numbers: ClosedRange<Int>) -> [Hash] { numbers.map { Hash.sha256(of: Array("\($0)".utf8)) } }

    /// The transactions of each peer, in order.
    private func told(_ shares: [Told]?, _ peer: PeerID) -> [Hash] {
        shares?.filter { $0.peer == peer }.flatMap(\.ids) ?? []
    }

    @Test func peersTakeTurns() {
        var spreading = TransactionSpreading()
        let ids = ids(1...7)
        let first = spreading.begin(Array(ids[..<4]), among: peers, now: .zero)
        let second = spreading.begin(Array(ids[4...]), among: peers, now: .zero)
        let shares = peers.map { told(first, $0) + told(second, $0) }
        #expect(Set(shares.joined()) == Set(ids) && shares.joined().count == ids.count)
        #expect(Set(shares.map(\.count)) == [2, 3])
        #expect(spreading.begin(ids, among: peers, now: .zero) == [], "they are on their way")
        #expect(spreading.count == ids.count)
    }

    /// The others are told a second after the peer was told, or was sent the transaction or one before it.
    @Test func othersAreToldWhenThePeerHasHadTime() {
        var spreading = TransactionSpreading()
        let (p, ids) = (peers[0], ids(1...3))
        #expect(spreading.deadline == nil)
        _ = spreading.begin(ids, among: [p], now: .zero)
        #expect(spreading.deadline == .seconds(1))
        spreading.sent([ids[0]], to: peers[1], now: .milliseconds(500))
        #expect(spreading.deadline == .seconds(1), "another peer was sent it")
        spreading.sent([ids[0]], to: p, now: .milliseconds(500))
        #expect(spreading.expire(now: .milliseconds(1_400)) == [])
        #expect(spreading.deadline == .milliseconds(1_500))
        spreading.sent([ids[1]], to: p, now: .milliseconds(1_400))
        #expect(spreading.expire(now: .milliseconds(1_500)) == [Told(peer: p, ids: [ids[0]])])
        #expect(spreading.expire(now: .milliseconds(2_400)) == [Told(peer: p, ids: [ids[1], ids[2]])])
        #expect(spreading.deadline == nil && spreading.count == 0)
    }

    @Test func noPeerKeepsATransactionForLong() {
        var spreading = TransactionSpreading()
        let (p, ids) = (peers[0], ids(1...30))
        _ = spreading.begin(ids, among: [p], now: .zero)
        for number in 0..<19 {
            let now = Duration.milliseconds(500 * (number + 1))
            spreading.sent([ids[number]], to: p, now: now)
            #expect(spreading.expire(now: now).flatMap(\.ids).allSatisfy { ids[..<number].contains($0) })
        }
        _ = spreading.expire(now: .seconds(10))
        #expect(spreading.count == 1, "the last that was sent")
    }

    @Test func whatAPeerWasToldIsToldToOthersWhenItLeaves() {
        var spreading = TransactionSpreading()
        let ids = ids(1...3)
        let shares = spreading.begin(ids, among: peers, now: .zero)
        spreading.sent(told(shares, peers[1]), to: peers[1], now: .zero)
        #expect(spreading.left(peers[1]) == told(shares, peers[1]))
        #expect(spreading.left(peers[1]).isEmpty)
        #expect(spreading.count == 2)
    }

    @Test func tooManyAreNotSpread() {
        var spreading = TransactionSpreading()
        let ids = ids(0...TransactionSpreading.capacity)
        #expect(spreading.begin(ids, among: peers, now: .zero) == nil)
        #expect(spreading.begin(Array(ids.dropLast()), among: peers, now: .zero) != nil)
        #expect(spreading.begin([ids[ids.count - 1]], among: peers, now: .zero) == nil)
    }
}
