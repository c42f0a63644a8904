import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Reactor

/// Tasks, timers and wakes on every driver's loop.
@Suite(.timeLimit(.minutes(2))) struct LoopTests {
    @Test(arguments: TestDriver.allCases)
    func tenThousandTimersFireInOrder(_ driver: TestDriver) async throws {
        try await driver.run {
            let done = Mailbox<Void>()
            var fired: [Int] = []
            var timers: [Timer] = []
            // Delays by a fixed permutation, several of each; every third is cancelled.
            let delays = (0..<10_000).map { ($0 &* 7919) % 500 }
            let start = Reactor.now
            for (index, delay) in delays.enumerated() {
                let deadline = start + .microseconds(delay * 100) - Reactor.now
                timers.append(Reactor.schedule(after: deadline) { fired.append(index) })
            }
            for index in stride(from: 0, to: timers.count, by: 3) {
                timers[index].cancel()
                #expect(!timers[index].isPending)
            }
            Reactor.schedule(after: .milliseconds(60)) { done.put(()) }
            await done.take()
            #expect(fired.count == 6666)
            #expect(fired.allSatisfy { $0 % 3 != 0 })
            #expect(timers.allSatisfy { !$0.isPending })
            let deadlines = fired.map { timers[$0].deadline }
            #expect(deadlines == deadlines.sorted())
        }
    }

    @Test(arguments: TestDriver.allCases)
    func timersOfOneDeadlineFireAsMadeAndMayCancelEachOther(_ driver: TestDriver) async throws {
        try await driver.run {
            let done = Mailbox<Void>()
            var fired: [Int] = []
            let heap = Reactor.loop.timers
            let deadline = Reactor.now + .milliseconds(2)
            var victim: Timer?
            for index in 0..<20 {
                let timer = heap.add(deadline) {
                    fired.append(index)
                    if index == 5 { victim?.cancel() }
                }
                if index == 12 { victim = timer }
            }
            _ = heap.add(deadline) { done.put(()) }
            await done.take()
            #expect(fired == (0..<20).filter { $0 != 12 })
        }
    }

    @Test(arguments: TestDriver.allCases)
    func sleepLastsAndHonoursCancellation(_ driver: TestDriver) async throws {
        try await driver.run {
            let start = Reactor.now
            try await Reactor.sleep(for: .milliseconds(3))
            #expect(Reactor.now - start >= .milliseconds(3))
            let outcome = Mailbox<Bool>()
            let task = Reactor.spawn {
                do {
                    try await Reactor.sleep(for: .seconds(3600))
                    outcome.put(false)
                } catch { outcome.put(true) }
            }
            Reactor.schedule(after: .milliseconds(1)) { task.cancel() }
            #expect(await outcome.take())
            let early = Reactor.spawn {
                do {
                    try await Reactor.sleep(for: .seconds(3600))
                    outcome.put(false)
                } catch { outcome.put(true) }
            }
            early.cancel()
            #expect(await outcome.take())
            #expect(Reactor.now - start < .seconds(3600))
        }
    }

    @Test(arguments: TestDriver.real)
    func wakesFromOtherThreadsAreNotLost(_ driver: TestDriver) async throws {
        try await driver.run {
            let loop = Reactor.loop
            let threads = 4
            let each = 5000
            let tally = Tally(threads: threads, each: each)
            for thread in 0..<threads {
                try LoopThread.start("wake-\(thread)") {
                    for index in 0..<each {
                        loop.call { tally.count(thread, index) }
                        if index % 500 == 0 { usleep(200) }
                    }
                }
            }
            #expect(await tally.done.take() == threads * each)
        }
    }

    @Test(arguments: TestDriver.allCases)
    func tasksStayOnTheLoop(_ driver: TestDriver) async throws {
        try await driver.run {
            let loop = Reactor.loop
            let done = Mailbox<Int>()
            for index in 0..<100 {
                Reactor.spawn {
                    #expect(EventLoop.current === loop)
                    try? await Reactor.sleep(for: .microseconds(index * 10))
                    #expect(EventLoop.current === loop)
                    await withTaskGroup(of: Void.self) { group in
                        for _ in 0..<3 {
                            group.addTask { @ReactorActor in #expect(EventLoop.current === loop) }
                        }
                    }
                    #expect(EventLoop.current === loop)
                    await elsewhere()
                    #expect(EventLoop.current === loop)
                    done.put(index)
                }
            }
            for _ in 0..<100 { _ = await done.take() }
            #expect(isolatedLoop() === loop)
        }
    }

    @Test(arguments: TestDriver.allCases)
    func busyTasksDoNotStarveTheSockets(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            let busy = Busy()
            busy.go()
            near.send([1])
            // A virtual clock stands still while there is work; real sockets must be served.
            if driver == .virtual { busy.isDone = true }
            await far.until { far.count == 1 }
            busy.isDone = true
            near.connection.abort()
            far.connection.abort()
        }
    }

    @Test func theDefaultLoopServesOtherThreads() async throws {
        let value = try await Reactor.run {
            try await Reactor.sleep(for: .milliseconds(1))
            return 3
        }
        #expect(value == 3)
        await #expect(throws: ReactorError.closed) { try await Reactor.run { throw ReactorError.closed } }
        #expect(!Reactor.driverDescription.isEmpty)
        try Reactor.start(.auto)
        let task = Reactor.spawn {}
        await task.value
        await withCheckedContinuation { continuation in Reactor.enqueue { continuation.resume() } }
    }
}

/// Counts calls from several threads and checks that each thread's arrive in order.
@ReactorActor
private final class Tally {
    let done = Mailbox<Int>()
    private let expected: Int
    private var seen: [Int]

    init(threads: Int, each: Int) {
        expected = threads * each
        seen = [Int](repeating: 0, count: threads)
    }

    func count(_ thread: Int, _ index: Int) {
        #expect(seen[thread] == index)
        seen[thread] += 1
        let total = seen.reduce(0, +)
        if total == expected { done.put(total) }
    }
}

/// Returns the loop that code without isolation finds with `assumeIsolated`.
private nonisolated func isolatedLoop() -> EventLoop? {
    ReactorActor.assumeIsolated { ReactorActor.shared.assumeIsolated { _ in EventLoop.current } }
}

/// Leaves the actor and returns to it.
@concurrent private func elsewhere() async {}

/// Work that always queues more work.
@ReactorActor
private final class Busy {
    var isDone = false

    func go() {
        guard !isDone else { return }
        Reactor.enqueue { self.go() }
    }
}

/// Calls from one loop to another and back.
@Suite(.timeLimit(.minutes(2))) struct CrossingTests {
    @Test func workIsDoneOnTheOtherLoopAndTheCallerGoesOnOnItsOwn() async throws {
        let home = try EventLoop.start(.auto, name: "test-home")
        let other = try EventLoop.start(.epoll, name: "test-other")
        defer {
            home.stop()
            other.stop()
        }
        try await other.run {
            for _ in 0..<100 {
                let isThere = await home.perform { EventLoop.current === home }
                #expect(isThere && EventLoop.current === other)
                // Even after the work there was suspended, or called another loop.
                let isStillThere = await home.perform {
                    try? await Reactor.sleep(for: .microseconds(100))
                    let isBack = await other.perform { EventLoop.current === other }
                    return isBack && EventLoop.current === home
                }
                #expect(isStillThere && EventLoop.current === other)
                // In place, if the caller is on that loop already.
                #expect(await other.perform { EventLoop.current === other })
            }
        }
        #expect(await home.perform { EventLoop.current === home })
    }

    @Test func cancellationCrosses() async throws {
        let home = try EventLoop.start(.auto, name: "test-home")
        let other = try EventLoop.start(.auto, name: "test-other")
        defer {
            home.stop()
            other.stop()
        }
        try await other.run {
            for wait in [Duration.zero, .milliseconds(20)] {
                let done = Mailbox<Bool>()
                let task = Reactor.spawn {
                    done.put(
                        await home.perform {
                            do {
                                try await Reactor.sleep(for: .seconds(3600))
                                return false
                            } catch { return true }
                        })
                }
                if wait > .zero { try await Reactor.sleep(for: wait) }
                task.cancel()
                #expect(await done.take())
                #expect(EventLoop.current === other)
            }
        }
    }
}
