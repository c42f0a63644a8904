import Glibc
import Synchronization
import TestSupport
import Testing
import VirtualIO

@testable import Reactor

/// Workers and the resolver.
@Suite(.timeLimit(.minutes(2))) struct WorkerTests {
    @Test func jobsRunInOrderAndResumeOnTheReactor() async throws {
        let order = try await Reactor.run {
            let worker = Worker(name: "worker", capacity: 4)
            let loop = Reactor.loop
            let log = Log()
            let done = Mailbox<Void>()
            for index in 0..<100 {
                Reactor.spawn {
                    let onLoop = try? await worker.run {
                        log.add(index)
                        return EventLoop.current != nil
                    }
                    #expect(onLoop == false)
                    #expect(EventLoop.current === loop)
                    done.put(())
                }
            }
            for _ in 0..<100 { await done.take() }
            worker.stop()
            return log.values
        }
        #expect(order == Array(0..<100))
    }

    @Test func capacityBoundsTheQueue() async throws {
        try await Reactor.run {
            let worker = Worker(name: "worker", capacity: 3)
            let gate = Semaphore()
            let done = Mailbox<Int>()
            for index in 0..<10 {
                Reactor.spawn {
                    _ = try? await worker.run { gate.wait() }
                    done.put(index)
                }
            }
            for index in 0..<10 {
                try await Reactor.sleep(for: .milliseconds(1))
                #expect(worker.depth <= 3)
                gate.signal()
                #expect(await done.take() == index)
            }
            worker.stop()
        }
    }

    @Test func capacityBoundsTheQueueOnAVirtualLoopToo() throws {
        try MemoryNetwork.run(seed: 1) {
            let worker = Worker(name: "worker", capacity: 3) { .milliseconds(1) }
            let log = Log()
            let done = Mailbox<Void>()
            for index in 0..<10 {
                Reactor.spawn {
                    do { try await worker.run { log.add(index) } } catch { log.add(-1) }
                    done.put(())
                }
            }
            try await Reactor.sleep(for: .microseconds(500))
            #expect(worker.depth == 3)
            for _ in 0..<8 { await done.take() }
            worker.stop()
            for _ in 0..<2 { await done.take() }
            #expect(
                log.values == Array(0..<10), "what waits for room when a worker stops was handed in by then")
            #expect(worker.peakDepth == 3)
            #expect(worker.depth == 0)
        }
    }

    /// A caller that comes while one that waited is on its way to the queue does not overtake it.
    @Test func aNewcomerDoesNotOvertakeACallerOnItsWay() async throws {
        let order = try await Reactor.run {
            let runner = ManualRunner()
            let worker = Worker(name: "worker", capacity: 2, runner: runner)
            let log = Log()
            for index in 0..<3 {
                Reactor.spawn { try? await worker.run { log.add(index) } }
            }
            while worker.depth < 2 { try await Reactor.sleep(for: .milliseconds(1)) }
            Reactor.spawn {
                while log.values.count < 4 {
                    try? await Reactor.sleep(for: .milliseconds(1))
                    runner.runNext()
                }
            }
            // The first wakes the caller of job 2, which cannot go on before this task is suspended; the second leaves
            // room for another.
            runner.runNext()
            runner.runNext()
            try await worker.run { log.add(3) }
            worker.stop()
            return log.values
        }
        #expect(order == [0, 1, 2, 3])
    }

    @Test func errorsComeBackAndStoppedWorkersRefuse() async throws {
        try await Reactor.run {
            let worker = Worker(name: "worker", capacity: 3)
            await #expect(throws: ReactorError.timedOut) {
                try await worker.run { throw ReactorError.timedOut }
            }
            worker.stop()
            await #expect(throws: ReactorError.closed) { try await worker.run {} }
        }
    }

    /// On a kernel loop and on a virtual one, the last job runs after all earlier ones, and no job runs after it.
    @Test(arguments: [false, true]) func whatFinishesAWorkerIsItsLastJob(isVirtual: Bool) async throws {
        let body: @ReactorActor @Sendable () async throws -> Void = {
            let worker =
                isVirtual
                ? Worker(name: "worker", capacity: 2) { .milliseconds(1) }
                : Worker(name: "worker", capacity: 2)
            let log = Log()
            let done = Mailbox<Void>()
            for index in 0..<2 {
                Reactor.spawn {
                    try? await worker.run { log.add(index) }
                    done.put(())
                }
            }
            try await Reactor.sleep(for: .milliseconds(1))
            try await worker.finish { log.add(2) }
            #expect(log.values == [0, 1, 2])
            await #expect(throws: ReactorError.closed) { try await worker.run { log.add(3) } }
            await #expect(throws: ReactorError.closed) { try await worker.finish { log.add(3) } }
            for _ in 0..<2 { await done.take() }
            #expect(log.values == [0, 1, 2])
        }
        if isVirtual { try MemoryNetwork.run(seed: 1, body) } else { try await Reactor.run(body) }
    }

    @Test func theTimeInTheQueueIsMeasured() async throws {
        let runner = ManualRunner()
        let worker = Worker(name: "manual", capacity: 8, runner: runner)
        let job = Task { try await worker.run {} }
        while worker.depth == 0 { await Task.yield() }
        usleep(20_000)
        #expect(worker.waits().snapshot().count == 0)
        runner.runNext()
        try await job.value
        let waits = worker.waits().snapshot()
        #expect(waits.count == 1)
        #expect(waits.sum >= 20_000_000)
    }

    @Test func literalAndLocalNamesResolve() async throws {
        let literal = try await Resolver.resolve(host: "::1", port: 80)
        #expect(literal == [try SocketAddress(ip: "::1", port: 80)])
        await #expect(throws: ReactorError.self) {
            try await Resolver.resolve(host: "::1", port: 80, family: .ip4)
        }
        let local = try await Resolver.resolve(host: "localhost", port: 81, family: .ip4)
        #expect(local.contains(try SocketAddress(ip: "127.0.0.1", port: 81)))
    }

    private final class Log: Sendable {
        private let storage = Mutex<[Int]>([])
        var values: [Int] { storage.withLock { $0 } }
        func add(_ value: Int) { storage.withLock { $0.append(value) } }
    }
}

/// Addresses and their texts.
@Suite struct SocketAddressTests {
    @Test(arguments: ["127.0.0.1", "0.0.0.0", "255.1.2.3", "::1", "2001:db8::8:800:200c:417a", "::"])
    func textsComeBack(_ ip: String) throws {
        let address = try SocketAddress(ip: ip, port: 6600)
        #expect(address.ip.description == ip)
        #expect(address.description == (ip.contains(":") ? "[\(ip)]:6600" : "\(ip):6600"))
        #expect(address.with(port: 1).port == 1)
    }

    @Test(arguments: ["", "1.2.3", "256.1.1.1", "localhost", "::1%lo0x", "[::1]", "1.2.3.4 "])
    func otherTextsAreRefused(_ ip: String) {
        #expect(throws: ReactorError.invalidAddress(ip)) { try SocketAddress(ip: ip, port: 1) }
    }
}

/// Runs a job when a test says so.
final class ManualRunner: WorkerRunner {
    private let queue = Mutex<WorkerQueue?>(nil)

    func jobAdded(to queue: WorkerQueue, _ priority: JobPriority) { self.queue.withLock { $0 = queue } }
    func runNext() { queue.withLock { $0 }?.runNext() }
    func stop() {}
}
