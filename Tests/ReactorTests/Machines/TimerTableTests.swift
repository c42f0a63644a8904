import Reactor
import Testing

@Suite struct TimerTableTests {
    private enum Name: Hashable, Sendable {
        case build, resend
        case offer(Int)
    }

    @Test func theEarliestDeadlineCounts() {
        var table = TimerTable<Name>()
        #expect(table.deadline == nil)
        table.arm(.build, at: .seconds(3))
        table.arm(.resend, at: .seconds(2))
        table.arm(.offer(1), at: .seconds(4))
        #expect(table.deadline == .seconds(2))
        table.cancel(.resend)
        #expect(table.deadline == .seconds(3))
        #expect(table[.resend] == nil)
        #expect(table[.offer(1)] == .seconds(4))
    }

    @Test func aDeadlineOfNilDisarms() {
        var table = TimerTable<Name>()
        table.arm(.build, at: .seconds(1))
        table.arm(.build, at: nil)
        table.arm(.resend, at: nil)
        #expect(table.names.isEmpty)
    }

    @Test func armingAgainReplacesTheDeadline() {
        var table = TimerTable<Name>()
        table.arm(.build, at: .seconds(1))
        table.arm(.build, at: .seconds(5))
        #expect(table.popDue(.seconds(4)) == nil)
        #expect(table.popDue(.seconds(5)) == .build)
        #expect(table.popDue(.seconds(9)) == nil)
    }

    @Test func dueTimersComeInTheOrderOfTheirDeadlinesThenOfArming() {
        var table = TimerTable<Name>()
        table.arm(.offer(2), at: .seconds(2))
        table.arm(.offer(1), at: .seconds(2))
        table.arm(.build, at: .seconds(1))
        table.arm(.resend, at: .seconds(7))
        var order: [Name] = []
        while let name = table.popDue(.seconds(3)) { order.append(name) }
        #expect(order == [.build, .offer(2), .offer(1)])
        #expect(table.names == [.resend])
    }

    @Test func aFamilyOfTimersIsCancelledTogether() {
        var table = TimerTable<Name>()
        for number in 0..<3 { table.arm(.offer(number), at: .seconds(1)) }
        table.arm(.build, at: .seconds(1))
        table.cancel { if case .offer = $0 { true } else { false } }
        #expect(table.names == [.build])
    }
}
