import Testing
import VirtualIO

@testable import Reactor

struct ReactorMachineDriverTests {
    @ReactorActor
    private static func driver(_ record: AdderRecord) -> ReactorMachineDriver<Adder> {
        ReactorMachineDriver(Adder(), wallClock: { 7 }) { record.broken.append($0.description) }
    }

    @Test func actionsArePerformedBeforeTheCallReturns() throws {
        try MemoryNetwork.run(seed: 1) {
            let record = AdderRecord()
            let driver = Self.driver(record)
            driver.submit(.add(1))
            #expect(record.actions == [], "it has not started")
            driver.start { record.actions.append($0) }
            #expect(record.actions == [.sum(1)])
            driver.submit(.add(2))
            #expect(record.actions == [.sum(1), .sum(3)])
            let answer = driver.ask { machine, now, actions in
                machine.handle(.add(3), at: now, actions: &actions)
                return now.wallClock
            }
            #expect(answer == 7 && record.actions.last == .sum(6) && driver.machine.sum == 6)
        }
    }

    @Test func anEventOfAnActionIsHandledBeforeTheNextAction() throws {
        try MemoryNetwork.run(seed: 1) {
            let record = AdderRecord()
            let driver = Self.driver(record)
            var seen: [Int] = []
            driver.start { [unowned driver] action in
                if action == .sum(1) { driver.submit(.add(10)) }
                seen.append(driver.machine.sum)
                record.actions.append(action)
            }
            driver.submit(.add(1))
            #expect(record.actions == [.sum(1), .sum(11)])
            #expect(seen == [11, 11])
        }
    }

    @Test func theTimerFiresAtTheDeadlineUntilStop() throws {
        try MemoryNetwork.run(seed: 1) {
            let record = AdderRecord()
            let driver = Self.driver(record)
            driver.start { record.actions.append($0) }
            driver.submit(.ring(at: .seconds(3)))
            driver.submit(.ring(at: .seconds(2)))
            try await Reactor.sleep(for: .milliseconds(1_999))
            #expect(record.actions == [])
            try await Reactor.sleep(for: .seconds(2))
            #expect(record.actions == [.rang(at: .seconds(2))])
            driver.submit(.ring(at: .seconds(9)))
            driver.stop()
            driver.submit(.add(1))
            try await Reactor.sleep(for: .seconds(9))
            #expect(record.actions.count == 1 && driver.machine.sum == 0)
        }
    }

    @Test func aBrokenInvariantIsReported() throws {
        try MemoryNetwork.run(seed: 1) {
            let record = AdderRecord()
            let driver = Self.driver(record)
            driver.start { record.actions.append($0) }
            driver.submit(.add(-1))
            #expect(record.broken == ["the sum -1 is negative"])
        }
    }
}
