import Testing
import VirtualIO

@testable import Reactor

@Suite struct MachineDriverTests {
    @ReactorActor
    private static func driver(_ record: AdderRecord, capacity: Int = 8) -> MachineDriver<Adder> {
        let worker = Worker(name: "adder", capacity: capacity)
        let driver = MachineDriver(Adder(), on: worker, wallClock: { 7 }) {
            record.broken.append($0.description)
        }
        driver.start { record.actions.append($0) }
        return driver
    }

    /// Runs `body` on a virtual loop and on a kernel loop.
    private static func both(_ body: @escaping @ReactorActor @Sendable () async throws -> Void) async throws {
        try MemoryNetwork.run(seed: 1, body)
        try await Reactor.run(body)
    }

    @Test func actionsArePerformedInOrderBeforeTheCallReturns() async throws {
        try await Self.both {
            let record = AdderRecord()
            let driver = Self.driver(record)
            for number in 1...3 { await driver.handle(.add(number)) }
            #expect(record.actions == [.sum(1), .sum(3), .sum(6)])
            let sum = try await driver.ask { (machine, now, actions) in
                machine.handle(.add(4), at: now, actions: &actions)
                return machine.sum
            }
            #expect(sum == 10)
            #expect(record.actions.last == .sum(10))
            driver.stop()
        }
    }

    @Test func callsReachTheMachineInTheirOrder() async throws {
        try await Self.both {
            let record = AdderRecord()
            let driver = Self.driver(record, capacity: 200)
            for _ in 0..<100 { driver.submit(.add(1)) }
            await driver.handle(.add(1))
            #expect(record.actions.map { if case .sum(let sum) = $0 { sum } else { 0 } } == Array(1...101))
            driver.stop()
        }
    }

    @Test func aFullQueueSuspendsCallersAndLosesNothing() async throws {
        try await Self.both {
            let record = AdderRecord()
            let driver = Self.driver(record, capacity: 2)
            let tasks = (0..<100).map { _ in Reactor.spawn { await driver.handle(.add(1)) } }
            for task in tasks { await task.value }
            #expect(driver.peakDepth == 2)
            await driver.handle(.add(1))
            #expect(record.actions.map { if case .sum(let sum) = $0 { sum } else { 0 } } == Array(1...101))
            driver.stop()
        }
    }

    @Test func theTimerFiresAtTheDeadlineAndOnlyThen() throws {
        try MemoryNetwork.run(seed: 1) {
            let record = AdderRecord()
            let driver = Self.driver(record)
            await driver.handle(.ring(at: .seconds(5)))
            await driver.handle(.ring(at: .seconds(2)))
            try await Reactor.sleep(for: .seconds(1))
            #expect(record.actions.isEmpty)
            try await Reactor.sleep(for: .seconds(9))
            #expect(record.actions == [.rang(at: .seconds(2))])
            driver.stop()
        }
    }

    @Test func nothingIsPerformedAfterStop() throws {
        try MemoryNetwork.run(seed: 1) {
            let record = AdderRecord()
            let driver = Self.driver(record)
            await driver.handle(.ring(at: .seconds(2)))
            driver.stop()
            await driver.handle(.add(1))
            driver.submit(.add(1))
            try await Reactor.sleep(for: .seconds(5))
            #expect(record.actions.isEmpty)
            await #expect(throws: ReactorError.closed) {
                try await driver.ask { machine, _, _ in machine.sum }
            }
        }
    }

    @Test func aBrokenInvariantIsReported() throws {
        try MemoryNetwork.run(seed: 1) {
            let record = AdderRecord()
            let driver = Self.driver(record)
            await driver.handle(.add(1))
            #expect(record.broken.isEmpty)
            await driver.handle(.add(-3))
            #expect(record.broken == ["the sum -2 is negative"])
            driver.stop()
        }
    }
}
