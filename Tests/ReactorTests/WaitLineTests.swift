import Synchronization
import Testing

@testable import Reactor

@Suite struct WaitLineTests {
    /// Goods that tasks on many threads take, and wait for.
    private final class Store: Sendable {
        private struct State: Sendable {
            var goods: [Int] = []
            var isClosed = false
            var line = WaitLine<Int, Int>()
        }

        private let state = Mutex(State())

        var waiting: [Int] { state.withLock { Array($0.line.marks) } }

        func take(_ mark: Int = 0) async -> Int? {
            await state.wait(in: { $1(&$0.line) }, as: mark) { state in
                if let one = state.goods.popLast() { return one }
                return state.isClosed ? .some(nil) : nil
            }
        }

        func put(_ one: Int) {
            let waiter = state.withLock { state in
                let first = state.line.popFirst()
                if first == nil { state.goods.append(one) }
                return first
            }
            waiter?.resume(returning: one)
        }

        func take(out mark: Int) {
            for waiter in state.withLock({ $0.line.removeAll { $0 == mark } }) {
                waiter.resume(returning: nil)
            }
        }

        func close() {
            let waiters = state.withLock { state in
                state.isClosed = true
                return state.line.removeAll()
            }
            for waiter in waiters { waiter.resume(returning: nil) }
        }
    }

    @Test func whatIsThereIsTakenAtOnce() async {
        let store = Store()
        store.put(7)
        #expect(await store.take() == 7)
        store.close()
        #expect(await store.take() == nil)
    }

    @Test(.timeLimit(.minutes(1))) func anyPlaceInTheLineCanBeTakenOut() async {
        let store = Store()
        let tasks = (0..<3).map { number in
            Task {
                while store.waiting.count < number { await Task.yield() }
                return await store.take(number)
            }
        }
        while store.waiting.count < 3 { await Task.yield() }
        #expect(store.waiting == [0, 1, 2])
        store.take(out: 1)
        #expect(await tasks[1].value == nil)
        #expect(store.waiting == [0, 2])
        store.put(5)
        #expect(await tasks[0].value == 5)
        store.close()
        #expect(await tasks[2].value == nil)
    }

    /// Tasks that come, are served and are cancelled on all threads at once: each good is taken once, and none is lost.
    @Test(.timeLimit(.minutes(1))) func nothingIsLostBetweenThreads() async {
        let store = Store()
        let count = 2_000
        var taken: Set<Int> = []
        await withTaskGroup(of: Int?.self) { group in
            for number in 0..<count {
                group.addTask {
                    let task = Task { await store.take(number) }
                    if number.isMultiple(of: 3) { task.cancel() }
                    return await task.value
                }
                group.addTask {
                    store.put(number)
                    return nil
                }
            }
            for await one in group {
                if let one { #expect(taken.insert(one).inserted) }
            }
        }
        #expect(store.waiting.isEmpty)
        store.close()
        while let left = await store.take() { #expect(taken.insert(left).inserted) }
        #expect(taken.count == count)
    }
}
