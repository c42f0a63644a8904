/// A call that the loop makes once, at a given time, unless cancelled first. Made by `Reactor.schedule`.
@ReactorActor
public final class Timer {
    /// When it fires, in reactor time.
    public let deadline: Duration
    /// Decides between timers of one deadline: first made, first fired.
    fileprivate let sequence: UInt64
    fileprivate var action: (@ReactorActor () -> Void)?
    fileprivate var position: Int?
    private weak var heap: TimerHeap?

    fileprivate init(
        _ deadline: Duration, _ sequence: UInt64, _ heap: TimerHeap,
        _ action: @escaping @ReactorActor () -> Void
    ) {
        self.deadline = deadline
        self.sequence = sequence
        self.heap = heap
        self.action = action
    }

    /// Whether the call is still to come.
    public var isPending: Bool { position != nil }

    /// Takes the call back; it is released at once. Does nothing when it has been made already.
    public func cancel() {
        action = nil
        heap?.remove(self)
    }
}

/// The pending timers of one loop: a binary heap whose entries know their place, so that a cancelled timer leaves at
/// once and holds nothing.
@ReactorActor
final class TimerHeap {
    private var timers: [Timer] = []
    private var nextSequence: UInt64 = 0

    nonisolated init() {}

    var nextDeadline: Duration? { timers.first?.deadline }
    var count: Int { timers.count }

    func add(_ deadline: Duration, _ action: @escaping @ReactorActor () -> Void) -> Timer {
        let timer = Timer(deadline, nextSequence, self, action)
        nextSequence &+= 1
        timer.position = timers.count
        timers.append(timer)
        siftUp(timers.count &- 1)
        return timer
    }

    /// Takes out the first timer due at `now`, with its call.
    func popDue(_ now: Duration) -> (@ReactorActor () -> Void)? {
        guard let first = timers.first, first.deadline <= now else { return nil }
        remove(first)
        let action = first.action
        first.action = nil
        return action
    }

    func remove(_ timer: Timer) {
        guard let position = timer.position else { return }
        timer.position = nil
        let last = timers.removeLast()
        guard last !== timer else { return }
        timers[position] = last
        last.position = position
        siftDown(position)
        if let moved = last.position, moved == position { siftUp(position) }
    }

    private func precedes(_ a: Timer, _ b: Timer) -> Bool {
        a.deadline == b.deadline ? a.sequence < b.sequence : a.deadline < b.deadline
    }

    private func siftUp(_ start: Int) {
        var index = start
        let timer = timers[index]
        while index > 0 {
            let parent = (index &- 1) / 2
            guard precedes(timer, timers[parent]) else { break }
            timers[index] = timers[parent]
            timers[index].position = index
            index = parent
        }
        timers[index] = timer
        timer.position = index
    }

    private func siftDown(_ start: Int) {
        var index = start
        let timer = timers[index]
        while true {
            var child = 2 &* index &+ 1
            guard child < timers.count else { break }
            if child &+ 1 < timers.count, precedes(timers[child &+ 1], timers[child]) { child &+= 1 }
            guard precedes(timers[child], timer) else { break }
            timers[index] = timers[child]
            timers[index].position = index
            index = child
        }
        timers[index] = timer
        timer.position = index
    }
}
