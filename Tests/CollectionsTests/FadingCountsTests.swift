import Collections
import Testing

@Suite struct FadingCountsTests {
    @Test func countsFadeOneByOne() {
        var counts = FadingCounts<String>(forgiven: .seconds(6), capacity: 8)
        #expect(counts.add(20, to: "a", now: .seconds(100)) == 20)
        #expect(counts.add(1, to: "a", now: .seconds(106)) == 20)
        #expect(counts.count(of: "a", now: .seconds(107)) == 20)
        #expect(counts.count(of: "a", now: .seconds(112)) == 19)
        #expect(counts.count(of: "a", now: .seconds(226)) == 0)
        #expect(counts.count(of: "b", now: .seconds(106)) == 0)
        #expect(counts.add(1, to: "a", now: .seconds(300)) == 1)
        counts.forget("a")
        #expect(counts.count(of: "a", now: .seconds(300)) == 0)
    }

    @Test func theLowestCountMakesRoom() {
        var counts = FadingCounts<Int>(forgiven: .seconds(1), capacity: 3)
        for key in 0..<3 { counts.add(10 + key, to: key, now: .zero) }
        counts.add(5, to: 3, now: .zero)
        #expect((0...3).map { counts.count(of: $0, now: .zero) } == [0, 11, 12, 5])
        // Keys whose count has reached zero are dropped first.
        counts.add(1, to: 4, now: .seconds(5))
        #expect((0...4).map { counts.count(of: $0, now: .seconds(5)) } == [0, 6, 7, 0, 1])
    }
}
