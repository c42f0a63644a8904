import Collections
import Testing

@testable import Reactor

/// Compares the heap with a sorted list: timers are made, cancelled and due in any order.
@Suite struct TimerHeapTests {
    @Test(arguments: 1...20)
    @ReactorActor
    func firesWhatIsDueInOrder(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }
        let heap = TimerHeap()
        var expected: [(deadline: Int, number: Int, timer: Timer)] = []
        var fired: [Int] = []
        for number in 0..<2_000 {
            switch below(10) {
            case 0..<6:
                let deadline = below(300)
                let timer = heap.add(.milliseconds(Int64(deadline))) { fired.append(number) }
                expected.append((deadline, number, timer))
            case 6, 7:
                guard !expected.isEmpty else { continue }
                let victim = expected.remove(at: below(expected.count))
                victim.timer.cancel()
                #expect(!victim.timer.isPending)
            default:
                let now = below(300)
                let due = expected.filter { $0.deadline <= now }.sorted {
                    ($0.deadline, $0.number) < ($1.deadline, $1.number)
                }
                expected.removeAll { $0.deadline <= now }
                fired = []
                while let action = heap.popDue(.milliseconds(Int64(now))) { action() }
                #expect(fired == due.map(\.number), "seed \(seed)")
            }
            #expect(heap.count == expected.count)
            #expect(heap.nextDeadline == expected.map(\.deadline).min().map { .milliseconds(Int64($0)) })
        }
        heap.removeAll()
        #expect(heap.count == 0)
        #expect(expected.allSatisfy { !$0.timer.isPending })
    }
}
