import Collections
import Testing

@Suite struct SharedPlacesTests {
    let peers = Array(0..<30)

    @Test func aStrangerTakesAQuarterOfWhatIsFree() {
        var places = SharedPlaces<Int>(capacity: 64, perPeer: 20)
        func fill(_ peer: Int, _ isTrusted: Bool = false) -> Int {
            var taken = 0
            while places.take(peer, isTrusted: isTrusted) { taken += 1 }
            return taken
        }
        let taken = peers[..<20].map { fill($0) }
        #expect(taken[0] == 7, "of 32, with a quarter of the 25 left")
        #expect(taken.reduce(0, +) <= 32)
        #expect(fill(peers[21], true) == 20)
        #expect(fill(peers[22], true) == 12, "trusted peers may take all that is left")
        for _ in 0..<7 { places.release(peers[0]) }
        #expect(places.count(of: peers[0]) == 0)
        #expect(fill(peers[23]) > 0)
    }

    @Test func aPeerMayBecomeTrusted() {
        var places = SharedPlaces<Int>(capacity: 8, perPeer: 4)
        let taken = [
            places.take(peers[0], isTrusted: false), places.take(peers[0], isTrusted: false),
            places.take(peers[0], isTrusted: true), places.take(peers[1], isTrusted: false),
        ]
        #expect(
            taken == [true, false, true, true], "the first peer's place no longer counts as a stranger's")
        for _ in 0..<2 { places.release(peers[0]) }
        places.release(peers[1])
        #expect(places.count == 0)
        places.release(peers[1])
        #expect(places.count == 0)
    }

    @Test func thePeerWithMostGivesWay() {
        var places = SharedPlaces<Int>(capacity: 64, perPeer: 4)
        for peer in peers[..<13] { while places.take(peer, isTrusted: false) {} }
        #expect(places.count == 32)
        let newcomer = peers[20]
        #expect(!places.hasRoom(for: newcomer, isTrusted: false))
        #expect(places.giver(for: newcomer, isTrusted: true) == nil, "there is room")
        guard let giver = places.giver(for: newcomer, isTrusted: false) else {
            Issue.record("no peer gives way")
            return
        }
        #expect(places.count(of: giver) == 4)
        places.take(newcomer, isTrusted: false, from: giver)
        #expect(places.count(of: giver) == 3)
        #expect(places.count(of: newcomer) == 1)
        #expect(places.count == 32)
        // A newcomer gets a fair share and no more.
        while let giver = places.giver(for: newcomer, isTrusted: false) {
            places.take(newcomer, isTrusted: false, from: giver)
        }
        #expect(places.count(of: newcomer) == 2)
        places.releaseAll(of: newcomer)
        #expect(places.count == 30)
        #expect(places.count(of: newcomer) == 0)
    }

    @Test func nobodyGivesWayWhileThereIsRoomOrHasOnlyOne() {
        var places = SharedPlaces<Int>(capacity: 16, perPeer: 8)
        while places.take(peers[0], isTrusted: false) {}
        #expect(places.giver(for: peers[1], isTrusted: false) == nil)
        places = SharedPlaces<Int>(capacity: 16, perPeer: 8)
        for peer in peers[..<8] { places.take(peer, isTrusted: false) }
        #expect(places.count == 8)
        #expect(!places.hasRoom(for: peers[9], isTrusted: false))
        #expect(places.giver(for: peers[9], isTrusted: false) == nil)
        for peer in peers[10..<12] { while places.take(peer, isTrusted: true) {} }
        #expect(places.count == 16)
        #expect(places.giver(for: peers[9], isTrusted: false) == nil, "strangers take from strangers")
        #expect(places.giver(for: peers[12], isTrusted: true) == peers[10])
    }
}
