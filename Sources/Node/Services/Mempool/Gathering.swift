import Collections
import Reactor

/// Gathers the items that callers submit while the previous batch is processed. Under load each batch serves many
/// callers, and only one batch is in progress.
@ReactorActor
final class Gathering<Item: Sendable, Outcome: Sendable> {
    /// The outcomes of one caller's items.
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
    ///   - most: the maximum number of items in a batch.
    ///   - work: returns one outcome per item, in order.
    init(most: Int, work: @escaping @ReactorActor ([Item]) async -> [Outcome]) {
        self.most = most
        self.work = work
    }

    /// The items that are in no batch yet.
    var items: [Item] { waiting.map(\.item) }

    /// Whether no batch is being processed.
    var isIdle: Bool { !isWorking }

    /// How many items are in no batch yet.
    var count: Int { waiting.count }

    /// Submits items. Returns one outcome each, in order.
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
