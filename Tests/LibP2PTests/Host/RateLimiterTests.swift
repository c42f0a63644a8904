import Testing

@testable import LibP2P

@Suite struct RateLimiterTests {
    @Test func aBurstAndThenOneEachInterval() {
        var limiter = RateLimiter<Int>(burst: 3, interval: .seconds(10))
        // Time in seconds, key, and whether one more event is allowed.
        let table: [(Int, Int, Bool)] = [
            (0, 1, true), (0, 1, true), (0, 1, true), (0, 1, false), (9, 1, false), (9, 2, true),
            (10, 1, true),
            (10, 1, false), (100, 1, true), (100, 1, true), (100, 1, true), (100, 1, false),
        ]
        for (second, key, expected) in table {
            let isAllowed = limiter.allows(key, now: .seconds(second))
            #expect(isAllowed == expected, "key \(key) at \(second)")
        }
    }

    @Test func keysAtRestAreForgotten() {
        var limiter = RateLimiter<Int>(burst: 1, interval: .seconds(1))
        let count = 2 * RateLimiter<Int>.capacity
        var allowed = 0
        for key in 0..<count where limiter.allows(key, now: .seconds(key)) { allowed += 1 }
        #expect(allowed == count)
        let again = limiter.allows(count - 1, now: .seconds(count - 1))
        #expect(!again)
    }
}
