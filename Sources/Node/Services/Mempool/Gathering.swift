import Collections
import Reactor

/// Gathers what many callers hand in while the batch before is being worked on: under load each batch serves many callers,
/// and no more than one is under way.
@ReactorActor
final class Gathering<Item: Sendable, Outcome: Sendable> {
    /// What became of the items of one caller.
    @ReactorActor
    private final class Answer {
        var outcomes: [Outcome] = []
        let count: Int
        let done: UnsafeContinuation<[Outcome], Never>

        init(_ count: Int, _ done: UnsafeContinuation<[Outcome], Never>) {
            self.count = count
            self.done = done
        }
    }

    private let most: Int
    private let work: @ReactorActor ([Item]) async -> [Outcome]
    private var waiting: Deque<(item: Item, answer: Answer)> = []
    private var isWorking = false

    /// - Parameters:
    ///   - most: items of a batch at most.
    ///   - work: gives one outcome an item, in order.
    init(most: Int, work: @escaping @ReactorActor ([Item]) async -> [Outcome]) {
        self.most = most
        self.work = work
    }

    /// What no batch has taken yet.
    var items: [Item] { waiting.map(\.item) }

    /// Hands items in and returns one outcome each, in order.
    func run(_ items: [Item]) async -> [Outcome] {
        guard !items.isEmpty else { return [] }
        return await withUnsafeContinuation { continuation in
            let answer = Answer(items.count, continuation)
            for item in items { waiting.append((item, answer)) }
            guard !isWorking else { return }
            isWorking = true
            Reactor.spawn { await self.workOff() }
        }
    }

    private func workOff() async {
        while !waiting.isEmpty {
            let batch = Array(waiting.prefix(most))
            waiting.removeFirst(batch.count)
            for (outcome, (_, answer)) in zip(await work(batch.map(\.item)), batch) {
                answer.outcomes.append(outcome)
                if answer.outcomes.count == answer.count { answer.done.resume(returning: answer.outcomes) }
            }
        }
        isWorking = false
    }
}
