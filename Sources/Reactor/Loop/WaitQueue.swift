import Synchronization

/// Tasks on the reactor that wait for the same thing, in order of arrival. A task leaves the queue when it is cancelled or
/// its time limit passes.
@ReactorActor
public final class WaitQueue<Mark: Sendable, Answer: Sendable> {
    /// Locked, because a task may be cancelled from any thread.
    private nonisolated let line: Mutex<WaitLine<Mark, Answer>>

    /// Creates an empty queue.
    public nonisolated convenience init() { self.init(WaitLine()) }

    fileprivate nonisolated init(_ line: WaitLine<Mark, Answer>) { self.line = Mutex(line) }

    /// The number of tasks.
    public var count: Int { line.withLock { $0.count } }

    /// The number of tasks whose marks satisfy a condition, which must not use this queue.
    public func count(where isCounted: (Mark) -> Bool) -> Int {
        line.withLock { line in line.marks.reduce(0) { isCounted($1) ? $0 + 1 : $0 } }
    }

    /// Waits to be woken.
    ///
    /// - Parameters:
    ///   - mark: the property of the task that others can ask for.
    ///   - limit: the maximum time to wait; nil for no limit.
    ///   - isBehind: the task goes before the first one whose mark satisfies this; if nil, to the end.
    /// - Returns: the answer that woke the task; nil if it was cancelled, the limit passed, or it was dismissed.
    public func wait(
        as mark: Mark, limit: Duration? = nil, before isBehind: ((Mark) -> Bool)? = nil
    ) async -> Answer? {
        let ticket = WaitTicket()
        let timer = limit.map {
            Reactor.schedule(after: $0) { self.line.withLock { $0.remove(ticket) }?.resume(returning: nil) }
        }
        defer { timer?.cancel() }
        return await line.wait(in: { $1(&$0) }, as: mark, ticket, before: isBehind) { _ in nil }
    }

    /// Wakes the task that has waited longest. Returns false if there is none.
    @discardableResult
    public func wakeFirst(_ answer: Answer) -> Bool {
        guard let first = line.withLock({ $0.popFirst() }) else { return false }
        first.resume(returning: answer)
        return true
    }

    /// Wakes the tasks whose marks satisfy a condition, or all. The condition is checked in order of arrival and must not use
    /// this queue. A nil answer dismisses the tasks.
    public func wakeAll(_ answer: Answer?, where isReady: (Mark) -> Bool = { _ in true }) {
        for waiter in line.withLock({ $0.removeAll(where: isReady) }) { waiter.resume(returning: answer) }
    }
}

extension WaitQueue where Mark == Void, Answer == Void {
    /// Creates an empty queue.
    public nonisolated convenience init() { self.init(WaitLine()) }

    /// Waits to be woken. Returns false if the task was cancelled or the limit passed first.
    public func wait(limit: Duration? = nil) async -> Bool { await wait(as: (), limit: limit) != nil }

    /// Waits until `isDone` returns true, which is checked now and whenever the task is woken. Returns false if the task was
    /// cancelled or the limit passed first.
    @discardableResult
    public func wait(limit: Duration, until isDone: () -> Bool) async -> Bool {
        let end = Reactor.now + limit
        while !isDone() {
            guard await wait(limit: max(.zero, end - Reactor.now)) else { return false }
        }
        return true
    }

    /// Wakes the task that has waited longest. Returns false if there is none.
    @discardableResult
    public func wakeFirst() -> Bool { wakeFirst(()) }

    /// Wakes all.
    public func wakeAll() { wakeAll(()) }
}
