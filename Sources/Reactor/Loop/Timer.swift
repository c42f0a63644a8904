/// A call that the loop makes once, at a given time, unless it is cancelled first. `Reactor.schedule` makes timers.
@ReactorActor
public final class Timer {
    /// When it fires, in reactor time.
    public let deadline: Duration
    fileprivate var action: (@ReactorActor () -> Void)?
    /// The heap that holds it and its slot there; nil once it has fired or been cancelled.
    fileprivate var place: (heap: TimerHeap, slot: Int)?

    fileprivate init(_ deadline: Duration, _ action: @escaping @ReactorActor () -> Void) {
        self.deadline = deadline
        self.action = action
    }

    /// Whether it has neither fired nor been cancelled.
    public var isPending: Bool { place != nil }

    /// Cancels the call and releases it at once. Does nothing if it has been made.
    public func cancel() {
        action = nil
        place?.heap.remove(self)
    }
}

/// The pending timers of one loop: a heap that tracks each timer's position, so that a cancelled one leaves at once and
/// frees its call. A node of the heap has four children and holds the key itself, because memory accesses dominate when
/// timers are many.
@ReactorActor
package final class TimerHeap {
    private struct Entry {
        let deadline: Duration
        /// Orders timers with the same deadline: first made, first fired.
        let sequence: UInt64
        let slot: Int

        func precedes(_ other: Entry) -> Bool {
            deadline == other.deadline ? sequence < other.sequence : deadline < other.deadline
        }
    }

    private static let children = 4
    private var entries: [Entry] = []
    /// The timers by slot, and the positions of their entries.
    private var timers: [Timer?] = []
    private var positions: [Int] = []
    private var freeSlots: [Int] = []
    private var nextSequence: UInt64 = 0

    nonisolated init() {}

    var nextDeadline: Duration? { entries.first?.deadline }
    var count: Int { entries.count }

    package func add(_ deadline: Duration, _ action: @escaping @ReactorActor () -> Void) -> Timer {
        let timer = Timer(deadline, action)
        let slot = freeSlots.popLast() ?? timers.count
        if slot == timers.count {
            timers.append(timer)
            positions.append(0)
        } else {
            timers[slot] = timer
        }
        timer.place = (self, slot)
        let entry = Entry(deadline: deadline, sequence: nextSequence, slot: slot)
        nextSequence &+= 1
        entries.append(entry)
        rise(entry, from: entries.count &- 1)
        return timer
    }

    /// Removes the first timer due at `now` and returns its call.
    func popDue(_ now: Duration) -> (@ReactorActor () -> Void)? {
        guard let first = entries.first, first.deadline <= now, let timer = timers[first.slot] else {
            return nil
        }
        remove(timer)
        let action = timer.action
        timer.action = nil
        return action
    }

    func remove(_ timer: Timer) {
        guard let slot = timer.place?.slot else { return }
        timer.place = nil
        timers[slot] = nil
        freeSlots.append(slot)
        let position = positions[slot]
        let last = entries.removeLast()
        guard last.slot != slot else { return }
        if position > 0, last.precedes(entries[(position &- 1) / Self.children]) {
            rise(last, from: position)
        } else {
            sink(last, from: position)
        }
    }

    /// Cancels every timer, because the loop has ended.
    func removeAll() {
        let ended = timers
        entries = []
        timers = []
        positions = []
        freeSlots = []
        for timer in ended {
            timer?.place = nil
            timer?.action = nil
        }
    }

    /// Puts an entry at `start` or above.
    private func rise(_ entry: Entry, from start: Int) {
        var index = start
        while index > 0 {
            let parent = (index &- 1) / Self.children
            guard entry.precedes(entries[parent]) else { break }
            place(entries[parent], at: index)
            index = parent
        }
        place(entry, at: index)
    }

    /// Puts an entry at `start` or below.
    private func sink(_ entry: Entry, from start: Int) {
        var index = start
        while true {
            let first = Self.children &* index &+ 1
            guard first < entries.count else { break }
            var least = first
            for child in (first &+ 1)..<max(first &+ 1, min(first &+ Self.children, entries.count))
            where entries[child].precedes(entries[least]) {
                least = child
            }
            guard entries[least].precedes(entry) else { break }
            place(entries[least], at: index)
            index = least
        }
        place(entry, at: index)
    }

    private func place(_ entry: Entry, at index: Int) {
        entries[index] = entry
        positions[entry.slot] = index
    }
}
