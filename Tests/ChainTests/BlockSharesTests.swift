import Collections
import Testing

@testable import Chain

/// Sets of places as bitmaps, and who passes on which transactions of a block.
@Suite struct BlockSharesTests {
    private static func set(_ places: [Int], of capacity: Int) -> PlaceSet {
        var set = PlaceSet(capacity: capacity)
        for place in places { set[place] = true }
        return set
    }

    @Test func bitmapsAreThoseOfTheSpecification() throws {
        #expect(Self.set([0, 3, 8, 9], of: 10).bytes == [0b0000_1001, 0b11])
        #expect(Self.set([], of: 0).bytes == [])
        let decoded = try PlaceSet(decoding: [0b0000_1001, 0b11], capacity: 10)
        #expect(decoded.places == [0, 3, 8, 9])
        #expect(!decoded.isEmpty)
        #expect(try PlaceSet(decoding: [0xFF], capacity: 8).places == Array(0..<8))
    }

    @Test func bitmapsNameOnlyPlacesThatExist() {
        let malformed: [([UInt8], Int)] = [
            ([], 1), ([0, 0], 8), ([0b1000], 3), ([0xFF, 0b100], 10), ([0], 0),
        ]
        for (bytes, capacity) in malformed {
            #expect(throws: ChainError.self, "\(bytes)") { try PlaceSet(decoding: bytes, capacity: capacity) }
        }
    }

    @Test func aPlaceIsSetAndCleared() {
        var set = Self.set([5], of: 9)
        set[8] = true
        set[5] = false
        #expect(set.places == [8])
    }

    @Test func oneKeeperHasNothingToPassOn() {
        #expect(BlockShares(Self.set([], of: 4)) == nil)
        #expect(BlockShares(Self.set([2], of: 4)) == nil)
        #expect(BlockShares(Self.set([1, 3], of: 4))?.keepers == [1, 3])
    }

    /// Any number of keepers, in any places of the set.
    @Test func everyTransactionHasOneKeeperARound() throws {
        var random = SeededGenerator(seed: 3)
        for count in 2...20 {
            let places = Array((0..<40).shuffled(using: &random).prefix(count)).sorted()
            let shares = try #require(BlockShares(Self.set(places, of: 40)))
            let wanted = Self.set((0..<300).filter { _ in random.next() % 3 > 0 }, of: 300)
            for round in 1...BlockShares.rounds {
                var all = PlaceSet(capacity: 300)
                for keeper in places {
                    for place in shares.share(of: keeper, round: round, in: wanted).places {
                        #expect(!all[place])
                        all[place] = true
                    }
                }
                #expect(all == wanted)
            }
        }
    }

    /// What one keeper has not passed on, all others share.
    @Test func laterKeepersAreOthers() throws {
        let shares = try #require(BlockShares(Self.set([0, 1, 2, 3, 4], of: 5)))
        let all = Self.set(Array(0..<100), of: 100)
        #expect(shares.share(of: 3, round: 1, in: all).places == Array(stride(from: 3, to: 100, by: 5)))
        let lost = shares.share(of: 3, round: 1, in: all)
        #expect([0, 1, 2, 4].allSatisfy { shares.share(of: $0, round: 2, in: lost).places.count == 5 })
        #expect(shares.share(of: 3, round: 2, in: lost).isEmpty)
        for place in 0..<100 {
            #expect(Set((1...3).map { shares.keeper(of: place, round: $0) }).count == 3)
        }
        // By hand, from docs/wire.md.
        for (place, keepers) in [(23, [3, 4, 0]), (7, [2, 4, 0]), (19, [4, 3, 0])] {
            #expect((1...3).map { shares.keeper(of: place, round: $0) } == keepers)
        }
    }
}
