import Testing

@testable import Node

@Suite struct VerificationQueueTests {
    @Test func theLowestHeightIsFirst() {
        var queue = VerificationQueue<String>(limit: 10)
        for (height, item) in [(5, "b"), (9, "d"), (1, "a"), (7, "c"), (9, "e")] as [(Int64, String)] {
            queue.add(item, height: height)
        }
        var order = ""
        while let item = queue.begin(cost: { _ in 1 }) { order += item }
        #expect(order.hasPrefix("abc"))
        #expect(order.count == 5)
        #expect(queue.count == 0)
    }

    @Test func noItemBeginsOnceTheLimitIsReached() {
        var queue = VerificationQueue<Int64>(limit: 3)
        for height in 1...4 as ClosedRange<Int64> { queue.add(height, height: height) }
        #expect(queue.begin { _ in 2 } == 1)
        #expect(queue.begin { _ in 2 } == 2)
        #expect(queue.begin { _ in 2 } == nil)
        queue.end(cost: 2)
        // One that came late and is lower goes first.
        queue.add(0, height: 0)
        #expect(queue.begin { _ in 100 } == 0)
        queue.end(cost: 2)
        #expect(queue.begin { _ in 1 } == nil)
        // A costly item does not block the queue for good.
        queue.end(cost: 100)
        #expect(queue.begin { _ in 1 } == 3)
        #expect(queue.count == 1)
    }

    @Test func whatIsNoLongerWantedIsForgotten() {
        var queue = VerificationQueue<Int64>(limit: 1)
        for height in 1...5 as ClosedRange<Int64> { queue.add(height, height: height) }
        queue.removeAll { $0 % 2 == 1 }
        #expect(queue.count == 2)
        #expect(queue.begin { _ in 1 } == 2)
    }
}
