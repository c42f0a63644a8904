import Testing
import VirtualIO

@testable import Reactor

@Suite struct WaitQueueTests {
    /// Tasks in a queue, and what became of them, in the order in which they ended.
    @ReactorActor
    private final class Line {
        let queue = WaitQueue<Int, String>()
        private(set) var ended: [String] = []

        @discardableResult
        func add(
            _ number: Int, limit: Duration? = nil, in other: WaitQueue<Int, String>? = nil,
            before isBehind: (@Sendable (Int) -> Bool)? = nil
        ) -> Task<Void, Never> {
            let queue = other ?? queue
            return Reactor.spawn {
                let answer = await queue.wait(as: number, limit: limit, before: isBehind)
                self.ended.append("\(number) \(answer ?? "none") \(Reactor.now)")
            }
        }
    }

    @Test func firstComeFirstServed() throws {
        try MemoryNetwork.run {
            let line = Line()
            #expect(!line.queue.wakeFirst("early"), "an answer does not wait for its task")
            for number in 1...3 { line.add(number) }
            try await Reactor.sleep(for: .seconds(1))
            #expect(line.queue.count == 3)
            #expect(line.queue.wakeFirst("a"))
            line.add(4)
            try await Reactor.sleep(for: .seconds(1))
            for answer in ["b", "c", "d"] { #expect(line.queue.wakeFirst(answer)) }
            #expect(!line.queue.wakeFirst("e"))
            try await Reactor.sleep(for: .seconds(1))
            #expect(
                line.ended == ["1 a 1.0 seconds", "2 b 2.0 seconds", "3 c 2.0 seconds", "4 d 2.0 seconds"])
        }
    }

    @Test func aTaskMayGoBeforeOthers() throws {
        try MemoryNetwork.run {
            let line = Line()
            for number in 1...2 { line.add(number) }
            line.add(11) { $0 < 10 }
            line.add(3)
            line.add(12) { $0 < 10 }
            try await Reactor.sleep(for: .seconds(1))
            line.queue.wakeAll("all")
            try await Reactor.sleep(for: .seconds(1))
            let order = line.ended.map { $0.prefix { $0 != " " } }
            #expect(order == ["11", "12", "1", "2", "3"])
        }
    }

    @Test func wakesThoseWhoMatchAndTheRestLater() throws {
        try MemoryNetwork.run {
            let line = Line()
            for number in 1...5 { line.add(number) }
            try await Reactor.sleep(for: .seconds(1))
            let late = line.queue.count { $0 > 3 }
            #expect(late == 2)
            line.queue.wakeAll("even") { $0.isMultiple(of: 2) }
            line.queue.wakeAll(nil) { $0 == 3 }
            try await Reactor.sleep(for: .seconds(1))
            line.queue.wakeAll("all")
            #expect(line.queue.count == 0)
            try await Reactor.sleep(for: .seconds(1))
            #expect(
                line.ended == [
                    "2 even 1.0 seconds", "4 even 1.0 seconds", "3 none 1.0 seconds", "1 all 2.0 seconds",
                    "5 all 2.0 seconds",
                ])
        }
    }

    @Test func aCancelledTaskLeaves() throws {
        try MemoryNetwork.run {
            let line = Line()
            let tasks = (1...3).map { line.add($0) }
            tasks[0].cancel()
            try await Reactor.sleep(for: .seconds(1))
            tasks[1].cancel()
            #expect(line.queue.count == 1, "at once")
            line.queue.wakeFirst("a")
            tasks[2].cancel()
            try await Reactor.sleep(for: .seconds(1))
            #expect(line.ended == ["1 none 0.0 seconds", "2 none 1.0 seconds", "3 a 1.0 seconds"])
        }
    }

    @Test func aTaskWaitsNoLongerThanItsLimit() throws {
        try MemoryNetwork.run {
            let line = Line()
            line.add(1, limit: .seconds(5))
            line.add(2)
            let third = line.add(3, limit: .seconds(7))
            line.add(4, limit: .seconds(9))
            try await Reactor.sleep(for: .seconds(6))
            #expect(line.queue.count == 3)
            third.cancel()
            line.queue.wakeFirst("a")
            try await Reactor.sleep(for: .seconds(2))
            line.queue.wakeFirst("b")
            try await Reactor.sleep(for: .seconds(60))
            #expect(
                line.ended == [
                    "1 none 5.0 seconds", "3 none 6.0 seconds", "2 a 6.0 seconds", "4 b 8.0 seconds",
                ])
        }
    }

    /// Who waits keeps the queue, whatever happens to its owner, and leaves it as ever.
    @Test func aQueueOutlivesItsOwnerWhileTasksWait() throws {
        try MemoryNetwork.run {
            let line = Line()
            let (watched, first) = abandoned(line)
            try await Reactor.sleep(for: .seconds(1))
            #expect(watched.queue?.count == 2)
            first.cancel()
            try await Reactor.sleep(for: .seconds(2))
            #expect(line.ended == ["1 none 1.0 seconds", "2 none 2.0 seconds"])
            #expect(watched.queue == nil)
        }
    }

    /// A queue that only the two tasks which wait in it refer to, and the first of them.
    @ReactorActor
    private func abandoned(_ line: Line) -> (Watched, Task<Void, Never>) {
        let queue = WaitQueue<Int, String>()
        let first = line.add(1, in: queue)
        line.add(2, limit: .seconds(2), in: queue)
        return (Watched(queue), first)
    }

    @ReactorActor
    private final class Watched {
        weak var queue: WaitQueue<Int, String>?
        init(_ queue: WaitQueue<Int, String>) { self.queue = queue }
    }

    /// A wait costs the loop one job: the task's own when it goes on.
    @Test func aWaitCostsOneJob() throws {
        try MemoryNetwork.run {
            let line = Line()
            line.add(1)
            try await Reactor.sleep(for: .seconds(1))
            let before = Reactor.eventsRun
            try await Reactor.sleep(for: .seconds(1))
            let sleeping = Reactor.eventsRun - before
            line.queue.wakeFirst("a")
            try await Reactor.sleep(for: .seconds(1))
            #expect(Reactor.eventsRun - before == 2 * sleeping + 1)
        }
    }
}
