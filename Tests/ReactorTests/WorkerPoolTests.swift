import Synchronization
import TestSupport
import Testing
import VirtualIO

@testable import Reactor

/// Workers with several threads, priorities, and jobs in pieces.
@Suite(.timeLimit(.minutes(2))) struct WorkerPoolTests {
    /// Each of four jobs waits for the other three, so all threads run at once.
    @Test func aPoolRunsAsManyJobsAtOnceAsItHasThreads() async throws {
        try await Reactor.run {
            let worker = Worker(name: "pool", capacity: 8, kind: .pool(threads: 4))
            let (here, go) = (Semaphore(), Semaphore())
            let done = Mailbox<Void>()
            for _ in 0..<4 {
                Reactor.spawn {
                    try? await worker.run {
                        here.signal()
                        go.wait()
                    }
                    done.put(())
                }
            }
            try await Worker(name: "counter", capacity: 1).run {
                for _ in 0..<4 { here.wait() }
                for _ in 0..<4 { go.signal() }
            }
            for _ in 0..<4 { await done.take() }
            worker.stop()
        }
    }

    @Test func piecesRunAtOnceAndTheirResultsAreInOrder() async throws {
        try await Reactor.run {
            let worker = Worker(name: "pool", capacity: 1, kind: .pool(threads: 4))
            let (here, go) = (Semaphore(), Semaphore())
            let counting = Reactor.spawn {
                try? await Worker(name: "counter", capacity: 1).run {
                    for _ in 0..<4 { here.wait() }
                    for _ in 0..<4 { go.signal() }
                }
            }
            let sum = try await worker.run(.high, pieces: 40) { piece in
                if piece < 4 {
                    here.signal()
                    go.wait()
                }
                return piece
            } join: {
                $0 == Array(0..<40) ? $0.reduce(0, +) : -1
            }
            #expect(sum == 780)
            #expect(
                try await worker.run(.low, pieces: 0) {
                    $0
                } join: {
                    $0
                } == [])
            _ = await counting.value
            worker.stop()
        }
    }

    /// A thousand jobs and jobs in pieces of both priorities, from several tasks: each has its result.
    @Test func nothingIsLostUnderLoad() async throws {
        try await Reactor.run {
            let worker = Worker(name: "pool", capacity: 4, kind: .pool(threads: 4))
            let done = Mailbox<Int>()
            for task in 0..<8 {
                Reactor.spawn {
                    var sum = 0
                    for number in 0..<125 {
                        let priority: JobPriority = (task + number) % 3 == 0 ? .high : .low
                        let result =
                            number % 5 == 0
                            ? try? await worker.run(priority, pieces: 7, { $0 + number }) { $0.reduce(0, +) }
                            : try? await worker.run(priority) { number }
                        sum += result ?? 1_000_000
                    }
                    done.put(sum)
                }
            }
            // 7 n + 21 for each fifth number n, and n for the others.
            let fifths = stride(from: 0, to: 125, by: 5)
            let expected = (0..<125).reduce(0, +) + fifths.reduce(0) { $0 + 6 * $1 + 21 }
            for _ in 0..<8 { #expect(await done.take() == expected) }
            #expect(worker.peakDepth <= 4)
            worker.stop()
        }
    }

    @Test func anErrorOfAPieceIsThatOfTheJob() async throws {
        try await Reactor.run {
            let worker = Worker(name: "pool", capacity: 1, kind: .pool(threads: 2))
            let begun = Atomic(0)
            await #expect(throws: ReactorError.timedOut) {
                try await worker.run(.low, pieces: 10_000) { _ in
                    begun.add(1, ordering: .relaxed)
                    throw ReactorError.timedOut
                } join: {
                    $0.count
                }
            }
            #expect((1...2).contains(begun.load(ordering: .relaxed)), "the other pieces do not begin")
            await #expect(throws: ReactorError.addressInUse) {
                try await worker.run(.low, pieces: 2) {
                    $0
                } join: { _ in
                    throw ReactorError.addressInUse
                }
            }
            worker.stop()
            await #expect(throws: ReactorError.closed) {
                try await worker.run(.low, pieces: 2) {
                    $0
                } join: {
                    $0
                }
            }
        }
    }

    /// While all threads are busy, jobs of high priority run on a thread of their own, and only those.
    @Test func highPriorityWaitsForNoThread() async throws {
        try await Reactor.run {
            let worker = Worker(name: "pool", capacity: 8, kind: .pool(threads: 2))
            let (here, go) = (Semaphore(), Semaphore())
            let done = Mailbox<Int>()
            for number in 0..<3 {
                Reactor.spawn {
                    try? await worker.run(.low) {
                        here.signal()
                        go.wait()
                    }
                    done.put(number)
                }
            }
            let counter = Worker(name: "counter", capacity: 1)
            try await counter.run { for _ in 0..<2 { here.wait() } }
            for _ in 0..<3 { #expect(try await worker.run(.high) { 7 } == 7) }
            #expect(
                try await worker.run(.high, pieces: 5) {
                    $0
                } join: {
                    $0.reduce(0, +)
                } == 10)
            #expect(worker.depth(.low) == 1)
            try await counter.run { for _ in 0..<3 { go.signal() } }
            var ended: [Int] = []
            for _ in 0..<3 { ended.append(await done.take()) }
            #expect(ended.sorted() == [0, 1, 2])
            #expect(try await worker.run(.high) { 8 } == 8)
            worker.stop()
        }
    }

    // MARK: Order

    /// What a runner that begins jobs when the test says so has begun, in order.
    @ReactorActor
    private final class Bench {
        let runner = ManualRunner()
        let worker: Worker
        private(set) var ended = 0
        private let begun = Mutex<[String]>([])

        init(capacity: Int = 64) {
            worker = Worker(name: "bench", capacity: capacity, kind: .pool(threads: 1), runner: runner)
        }

        /// Submits a job called `name`, and waits until it is queued.
        func submit(_ name: String, _ priority: JobPriority, pieces: Int = 1) async throws {
            let before = worker.depth(priority)
            Reactor.spawn { [self] in
                try? await worker.run(priority, pieces: pieces) { [self] piece in
                    begun.withLock { $0.append(pieces == 1 ? name : "\(name)\(piece)") }
                } join: { _ in
                }
                ended += 1
            }
            while worker.depth(priority) == before { try await Reactor.sleep(for: .milliseconds(1)) }
        }

        /// Runs so many pieces, and returns which.
        func run(_ count: Int) -> [String] {
            for _ in 0..<count { runner.runNext() }
            return begun.withLock { begun in
                defer { begun = [] }
                return begun
            }
        }
    }

    @Test func highPriorityBeginsFirstAndEachPriorityInOrder() async throws {
        try await Reactor.run {
            let bench = Bench()
            for name in ["a", "b"] { try await bench.submit(name, .low) }
            for name in ["C", "D"] { try await bench.submit(name, .high) }
            #expect(bench.run(3) == ["C", "D", "a"])
            try await bench.submit("E", .high)
            #expect(bench.run(3) == ["E", "b"])
        }
    }

    /// A block that is checked waits for one piece of a batch, not for all; a vote that comes meanwhile has its turn soon.
    @Test func jobsTakeTurnsWithPieces() async throws {
        try await Reactor.run {
            let bench = Bench()
            try await bench.submit("a", .low, pieces: 3)
            #expect(bench.run(1) == ["a0"])
            try await bench.submit("B", .high, pieces: 3)
            #expect(bench.run(1) == ["B0"])
            try await bench.submit("C", .high)
            try await bench.submit("d", .low)
            #expect(bench.run(6) == ["B1", "C", "B2", "a1", "d", "a2"])
            #expect(bench.worker.depth == 0)
        }
    }

    @Test func noFloodOfHighPriorityStopsTheLow() async throws {
        try await Reactor.run {
            let bench = Bench()
            try await bench.submit("a", .low, pieces: 2)
            try await bench.submit("B", .high, pieces: 100)
            let begun = bench.run(2 * (WorkerQueue.overtakers + 1))
            #expect(begun.firstIndex(of: "a0") == WorkerQueue.overtakers)
            #expect(begun.lastIndex(of: "a1") == 2 * WorkerQueue.overtakers + 1)
        }
    }

    @Test func aFloodOfLowPriorityLeavesTheHighItsRoom() async throws {
        try await Reactor.run {
            let bench = Bench(capacity: 2)
            for name in ["a", "b"] { try await bench.submit(name, .low) }
            let late = Reactor.spawn { try? await bench.worker.run(.low) {} }
            try await bench.submit("C", .high)
            try await bench.submit("D", .high)
            #expect((bench.worker.depth(.low), bench.worker.depth(.high)) == (2, 2))
            #expect(bench.run(4) == ["C", "D", "a", "b"])
            while bench.worker.depth(.low) == 0 { try await Reactor.sleep(for: .milliseconds(1)) }
            _ = bench.run(1)
            _ = await late.value
            #expect(bench.worker.peakDepth == 2)
        }
    }

    /// Both callers that wait for room and queued pieces are refused, and each caller hears of it.
    @Test func anAbandonedPoolRefusesWhatWaits() async throws {
        try await Reactor.run {
            let bench = Bench(capacity: 1)
            try await bench.submit("a", .low, pieces: 3)
            let late = Mailbox<ReactorError?>()
            Reactor.spawn {
                do {
                    try await bench.worker.run(.low) {}
                    late.put(nil)
                } catch {
                    late.put(error as? ReactorError)
                }
            }
            try await Reactor.sleep(for: .milliseconds(1))
            #expect(bench.run(1) == ["a0"])
            bench.worker.abandon()
            #expect(await late.take() == .closed)
            #expect(bench.run(2) == [])
            while bench.ended == 0 { try await Reactor.sleep(for: .milliseconds(1)) }
        }
    }

    // MARK: Where jobs run

    @Test func jobsOfAPoolMayNotBlock() async throws {
        let body: @ReactorActor @Sendable () async throws -> [Bool] = {
            let (pool, thread) = (
                Worker(name: "pool", capacity: 1, kind: .pool(threads: 2)),
                Worker(name: "thread", capacity: 1)
            )
            let inPieces = try await pool.run(.high, pieces: 4) { _ in
                Worker.mayBlock
            } join: {
                $0
            }
            return inPieces + [
                try await pool.run { Worker.mayBlock }, try await thread.run { Worker.mayBlock },
            ]
        }
        let expected = [false, false, false, false, false, true]
        #expect(try await Reactor.run(body) == expected)
        #expect(try MemoryNetwork.run(seed: 1, body) == expected)
    }

    /// On a virtual loop jobs of a pool begin in order and end in an order that the seed determines.
    @Test func aVirtualPoolEndsJobsInAnotherOrder() throws {
        func order(_ seed: UInt64, threads: Int) throws -> [Int] {
            try MemoryNetwork.run(seed: seed) {
                let worker = Worker(name: "pool", capacity: 64, kind: .pool(threads: threads))
                let done = Mailbox<Int>()
                for index in 0..<16 {
                    Reactor.spawn { done.put((try? await worker.run { index }) ?? -1) }
                }
                var order: [Int] = []
                for _ in 0..<16 { order.append(await done.take()) }
                return order
            }
        }
        let first = try order(1, threads: 4)
        #expect(first.sorted() == Array(0..<16))
        #expect(first != Array(0..<16))
        #expect(try order(1, threads: 4) == first)
        #expect(try order(2, threads: 4) != first)
        #expect(try order(1, threads: 1) == Array(0..<16))
        #expect(first.prefix(1).allSatisfy { $0 < 4 }, "the first to end is one of the first four to begin")
    }

    @Test func highPriorityWaitsForNoThreadOfAVirtualPool() throws {
        let ends = try MemoryNetwork.run {
            let worker = Worker(name: "pool", capacity: 8, kind: .pool(threads: 1)) { .seconds(1) }
            let done = Mailbox<(String, Duration)>()
            let jobs: [(String, JobPriority)] = [("a", .low), ("b", .low), ("C", .high), ("D", .high)]
            for (name, priority) in jobs {
                Reactor.spawn {
                    if priority == .high { try? await Reactor.sleep(for: .milliseconds(1)) }
                    try? await worker.run(priority) {}
                    done.put((name, Reactor.now))
                }
            }
            var ends: [String: Duration] = [:]
            for _ in jobs {
                let (name, time) = await done.take()
                ends[name] = time
            }
            return ends
        }
        #expect(ends == ["a": .seconds(1), "C": .milliseconds(1_001), "D": .seconds(2), "b": .seconds(3)])
    }

    @Test func thisProcessHasAProcessor() { #expect(Processors.available >= 1) }
}
