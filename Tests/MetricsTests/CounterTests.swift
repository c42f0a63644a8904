import Testing

@testable import Metrics

struct CounterTests {
    @Test func addsFromManyThreadsAreAllCounted() async {
        let counter = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<10_000 { counter.add() } }
            }
        }
        counter.add(5)
        #expect(counter.value == 80_005)
    }

    @Test func gaugesRiseAndFall() {
        let gauge = Gauge()
        gauge.set(7)
        gauge.add(-9)
        #expect(gauge.value == -2)
    }
}
