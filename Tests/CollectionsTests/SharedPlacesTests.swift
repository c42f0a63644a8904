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
        #expect(fill(peers[22], true) == 12, "trusted peers have all that is left")
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
        #expect(taken == [true, false, true, true], "the first one's place is no stranger's any more")
        for _ in 0..<2 { places.release(peers[0]) }
        places.release(peers[1])
        #expect(places.count == 0)
        places.release(peers[1])
        #expect(places.count == 0)
    }
}
