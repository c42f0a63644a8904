import Reactor

/// Adds numbers, reports each sum, and rings at a deadline.
struct Adder: Machine {
    enum Event: MachineEvent {
        case add(Int)
        case ring(at: Duration)
        case timer
    }
    enum Action: Equatable, Sendable {
        case sum(Int)
        case rang(at: Duration)
    }

    var sum = 0
    var timers = TimerTable<Int>()
    var deadline: Duration? { timers.deadline }

    mutating func handle(_ event: Event, at now: Instant, actions: inout [Action]) {
        switch event {
        case .add(let number):
            sum += number
            actions.append(.sum(sum))
        case .ring(let at): timers.arm(0, at: at)
        case .timer: break
        }
        while timers.popDue(now.elapsed) != nil { actions.append(.rang(at: now.elapsed)) }
    }

    func checkInvariants() throws(BrokenInvariant) {
        try BrokenInvariant.check(sum >= 0, "the sum \(sum) is negative")
    }
}

/// What a driver of an `Adder` performed and reported.
@ReactorActor
final class AdderRecord {
    var actions: [Adder.Action] = []
    var broken: [String] = []
}
