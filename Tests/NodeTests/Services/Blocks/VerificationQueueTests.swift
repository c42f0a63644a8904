import Testing

@testable import Node

@Suite struct VerificationQueueTests {
    @Test func theLowestHeightIsFirst() {
        var queue = VerificationQueue<String>(places: 10)
        for (height, item) in [(5, "b"), (9, "d"), (1, "a"), (7, "c"), (9, "e")] as [(Int64, String)] {
            queue.add(item, height: height)
        }
        var order = ""
        while let item = queue.enter() { order += item }
        #expect(order.hasPrefix("abc"))
        #expect(order.count == 5)
        #expect(queue.count == 0)
    }

    @Test func noMoreItemsEnterThanThereArePlaces() {
        var queue = VerificationQueue<Int64>(places: 2)
        for height in 1...4 as ClosedRange<Int64> { queue.add(height, height: height) }
        #expect(queue.enter() == 1)
        #expect(queue.enter() == 2)
        #expect(queue.enter() == nil)
        queue.leave()
        // One that came late and is lower goes first.
        queue.add(0, height: 0)
        #expect(queue.enter() == 0)
        #expect(queue.enter() == nil)
        #expect(queue.count == 2)
    }

    @Test func whatIsNoLongerWantedIsForgotten() {
        var queue = VerificationQueue<Int64>(places: 1)
        for height in 1...5 as ClosedRange<Int64> { queue.add(height, height: height) }
        queue.removeAll { $0 % 2 == 1 }
        #expect(queue.count == 2)
        #expect(queue.enter() == 2)
    }
}
