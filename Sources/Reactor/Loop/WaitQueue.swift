import Synchronization

/// Tasks on the reactor that wait for the same thing, first come, first served. A task leaves when it is cancelled, and when
/// its time is up.
@ReactorActor
public final class WaitQueue<Mark: Sendable, Answer: Sendable> {
    /// Locked, because a task may be cancelled from any thread.
    private nonisolated let line: Mutex<WaitLine<Mark, Answer>>

    /// A queue in which nobody waits.
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
    ///   - mark: what the task says about itself.
    ///   - limit: how long it waits; nil for as long as it takes.
    ///   - isBehind: the task goes before the first other whose mark satisfies this; without it, to the end.
    /// - Returns: what the task was woken with; nil if it was cancelled, its time was up, or it was sent away.
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

    /// Wakes the task that has waited longest. False when there is none.
    @discardableResult
    public func wakeFirst(_ answer: Answer) -> Bool {
        guard let first = line.withLock({ $0.popFirst() }) else { return false }
        first.resume(returning: answer)
        return true
    }

    /// Wakes the tasks whose marks satisfy a condition, which is asked of each in order and must not use this queue; all
    /// without one. Nil sends them away.
    public func wakeAll(_ answer: Answer?, where isReady: (Mark) -> Bool = { _ in true }) {
        for waiter in line.withLock({ $0.removeAll(where: isReady) }) { waiter.resume(returning: answer) }
    }
}

extension WaitQueue where Mark == Void, Answer == Void {
    /// A queue in which nobody waits.
    public nonisolated convenience init() { self.init(WaitLine()) }

    /// Waits to be woken. False when the task was cancelled, or its time was up, instead.
    public func wait(limit: Duration? = nil) async -> Bool { await wait(as: (), limit: limit) != nil }

    /// Wakes the task that has waited longest. False when there is none.
    @discardableResult
    public func wakeFirst() -> Bool { wakeFirst(()) }

    /// Wakes all.
    public func wakeAll() { wakeAll(()) }
}
