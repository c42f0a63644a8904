import Testing
import VirtualIO

@testable import Reactor

@Suite struct KeyedMutexTests {
    @ReactorActor
    private final class Holders {
        let mutex = KeyedMutex<String>()
        private(set) var log: [String] = []

        @discardableResult
        func add(_ name: String, _ key: String, isUrgent: Bool = false) -> Task<Void, Never> {
            Reactor.spawn {
                guard await self.mutex.lock(key, isUrgent: isUrgent) else {
                    self.log.append("\(name) leaves")
                    return
                }
                self.log.append("\(name) \(Reactor.now)")
                try? await Reactor.sleep(for: .seconds(1))
                self.mutex.unlock(key)
            }
        }
    }

    @Test func oneHoldsAKeyAtATime() throws {
        try MemoryNetwork.run {
            let holders = Holders()
            for name in ["a", "b"] { holders.add(name, "x") }
            holders.add("c", "y")
            let cancelled = holders.add("d", "x")
            holders.add("e", "x")
            holders.add("urgent", "x", isUrgent: true)
            try await Reactor.sleep(for: .milliseconds(100))
            #expect(holders.mutex.waitingCount(for: "x", isUrgent: false) == 3)
            #expect(holders.mutex.waitingCount(for: "x", isUrgent: true) == 1)
            cancelled.cancel()
            try await Reactor.sleep(for: .seconds(10))
            #expect(
                holders.log == [
                    "a 0.0 seconds", "c 0.0 seconds", "d leaves", "urgent 1.0 seconds", "b 2.0 seconds",
                    "e 3.0 seconds",
                ])
            holders.add("f", "x")
            try await Reactor.sleep(for: .seconds(10))
            #expect(holders.log.last == "f 10.1 seconds", "the key is free again")
        }
    }
}
