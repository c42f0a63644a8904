import Collections
import Synchronization

/// Suspended tasks in order of arrival, kept beside the state that decides which of them continues.
///
/// The line belongs to the state of a `Mutex`, whose `wait` adds the calling task. Code that changes the state removes tasks
/// under the lock and resumes them after releasing it. For state that only the reactor touches, use `WaitQueue`.
public struct WaitLine<Mark: Sendable, Answer: Sendable>: Sendable {
    /// One suspended task.
    public struct Waiter: Sendable {
        /// The property of the task that others can ask for.
        public let mark: Mark
        fileprivate let ticket: WaitTicket
        fileprivate let continuation: UnsafeContinuation<Answer?, Never>

        /// Resumes the task with an answer, or dismisses it with nil. Call it once.
        public func resume(returning answer: Answer?) { continuation.resume(returning: answer) }
    }

    /// Passes the line that is part of a state on. A function, because Swift looks up generic types at every use of a key
    /// path, which costs microseconds.
    public typealias Access<State> = @Sendable (inout State, (inout WaitLine) -> Waiter?) -> Waiter?

    private var waiters = Deque<Waiter>()

    /// Creates an empty line.
    public init() {}

    /// The number of tasks.
    public var count: Int { waiters.count }

    /// Whether no task waits.
    public var isEmpty: Bool { waiters.isEmpty }

    /// The marks of the tasks, in order. By a closure, for the same reason as `Access`.
    public var marks: some Sequence<Mark> { waiters.lazy.map { $0.mark } }

    /// Removes and returns the task that has waited longest.
    public mutating func popFirst() -> Waiter? { waiters.popFirst() }

    /// Removes and returns the tasks whose marks satisfy a condition, which is checked in order.
    public mutating func removeAll(where isRemoved: (Mark) -> Bool = { _ in true }) -> [Waiter] {
        var removed: [Waiter] = []
        waiters.removeAll { waiter in
            guard isRemoved(waiter.mark) else { return false }
            removed.append(waiter)
            return true
        }
        return removed
    }

    mutating func remove(_ ticket: WaitTicket) -> Waiter? {
        guard let waiter = waiters.first(where: { $0.ticket == ticket }) else { return nil }
        waiters.removeAll { $0.ticket == ticket }
        return waiter
    }

    fileprivate mutating func insert(_ waiter: Waiter, before isBehind: ((Mark) -> Bool)?) {
        waiters.append(waiter)
        guard let isBehind, var place = waiters.firstIndex(where: { isBehind($0.mark) }) else { return }
        while place < waiters.count - 1 {
            waiters.swapAt(place, waiters.count - 1)
            place += 1
        }
    }
}

/// Identifies one wait, so that a late cancellation or timer does not end a later wait.
struct WaitTicket: Equatable, Sendable {
    private static let last = Atomic<UInt64>(0)

    private let number = Self.last.wrappingAdd(1, ordering: .relaxed).newValue
}

extension Mutex where Value: Sendable {
    /// Suspends the calling task in a line of the guarded state, unless the answer is available at once.
    ///
    /// - Parameters:
    ///   - line: passes the line on. The task leaves it when it is cancelled.
    ///   - mark: the property of the task that others can ask for.
    ///   - answer: takes the answer from the state. Nil makes the task wait; `.some(nil)` dismisses it.
    /// - Returns: the answer; nil if the task was cancelled or dismissed.
    public func wait<Mark, Answer>(
        in line: @escaping WaitLine<Mark, Answer>.Access<Value>, as mark: Mark,
        isolation: isolated (any Actor)? = #isolation, unless answer: (inout Value) -> Answer??
    ) async -> Answer? {
        await wait(in: line, as: mark, WaitTicket(), before: nil, isolation: isolation, unless: answer)
    }

    /// `isBehind`: the task goes before the first one whose mark satisfies this; if nil, to the end.
    func wait<Mark, Answer>(
        in line: @escaping WaitLine<Mark, Answer>.Access<Value>, as mark: Mark,
        _ ticket: WaitTicket, before isBehind: ((Mark) -> Bool)?,
        isolation: isolated (any Actor)? = #isolation, unless answer: (inout Value) -> Answer??
    ) async -> Answer? {
        await withTaskCancellationHandler {
            // A closure that does not capture the isolation leaves the actor, and returns to it with a job more.
            _ = isolation
            return await withUnsafeContinuation { continuation in
                let answer: Answer?? = withLock { state in
                    if Task.isCancelled { return .some(nil) }
                    if let answer = answer(&state) { return answer }
                    let waiter = WaitLine.Waiter(mark: mark, ticket: ticket, continuation: continuation)
                    _ = line(&state) {
                        $0.insert(waiter, before: isBehind)
                        return nil
                    }
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            withLock { line(&$0) { $0.remove(ticket) } }?.resume(returning: nil)
        }
    }
}
