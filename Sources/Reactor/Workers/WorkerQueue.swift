import Bytes
import CShims
import Collections
import Glibc
import Metrics
import Synchronization

/// The queued jobs of one worker, in order within each priority, and the callers that wait for room.
public final class WorkerQueue: Sendable {
    /// A piece of a job, by its number: runs if passed nil; otherwise it is refused with the error.
    typealias Job = @Sendable (_ piece: Int, ReactorError?) -> Void

    /// A piece of a job that has left the queue.
    package struct Piece: Sendable {
        fileprivate let job: Job
        fileprivate let number: Int
        fileprivate let queue: WorkerQueue

        /// Runs the piece, or refuses it if the queue has been abandoned.
        package func run() {
            let mayBlock = apus_may_block()
            apus_set_may_block(mayBlock && queue.jobsMayBlock)
            job(number, queue.state.withLock { $0.isAbandoned ? .closed : nil })
            apus_set_may_block(mayBlock)
        }
    }

    fileprivate struct Entry {
        let job: Job
        let pieces: Int
        /// When it was queued, on the monotonic clock.
        let time: Duration
        /// The number of pieces that have begun.
        var begun = 0
    }

    /// The jobs of one priority.
    private struct Lane {
        var jobs = Deque<Entry>()
        /// The most jobs that have been queued at once.
        var peak = 0
        /// Callers that wait for room, in order.
        var waiting = Deque<UnsafeContinuation<Bool, Never>>()
        /// Room promised to callers on their way to `append`.
        var promised = 0
        /// The callers among them that waited. A newcomer waits behind these, or it would overtake them.
        var woken = 0

        /// Promises room for a job, unless there is none or others wait for it.
        mutating func takeRoom(_ capacity: Int) -> Bool {
            guard jobs.count &+ promised < capacity, waiting.isEmpty, woken == 0 else { return false }
            promised &+= 1
            return true
        }

        /// Ends the promise to a caller.
        mutating func keepPromise(waited: Bool) {
            promised = max(promised &- 1, 0)
            if waited { woken &-= 1 }
        }

        mutating func append(_ entry: Entry) {
            jobs.append(entry)
            peak = max(peak, jobs.count)
        }

        /// Takes a piece of the first job, which goes behind the others while it has further pieces.
        mutating func takePiece() -> Entry? {
            guard var entry = jobs.popFirst() else { return nil }
            defer {
                entry.begun &+= 1
                if entry.begun < entry.pieces { jobs.append(entry) }
            }
            return entry
        }

        /// Returns the waiting caller that may submit a job now, if there is room.
        mutating func wakeNext(_ capacity: Int) -> UnsafeContinuation<Bool, Never>? {
            guard jobs.count &+ promised < capacity, let next = waiting.popFirst() else { return nil }
            promised &+= 1
            woken &+= 1
            return next
        }

        /// Returns all callers that wait, to be refused.
        mutating func stop() -> Deque<UnsafeContinuation<Bool, Never>> {
            woken &+= waiting.count
            defer { waiting = [] }
            return waiting
        }
    }

    private struct State {
        var high = Lane()
        var low = Lane()
        /// The pieces of high priority that have begun since one of low priority waits.
        var overtakers = 0
        var isStopped = false
        /// Jobs that have not begun are refused.
        var isAbandoned = false

        subscript(priority: JobPriority) -> Lane {
            get { priority == .high ? high : low }
            _modify { if priority == .high { yield &high } else { yield &low } }
        }

        /// Returns the priority of the next piece for a thread, which may take none but high ones; nil if none is queued.
        mutating func choose(onlyHigh: Bool) -> JobPriority? {
            if onlyHigh { return high.jobs.isEmpty ? nil : .high }
            guard !low.jobs.isEmpty else {
                overtakers = 0
                return high.jobs.isEmpty ? nil : .high
            }
            guard !high.jobs.isEmpty, overtakers < WorkerQueue.overtakers else {
                overtakers = 0
                return .low
            }
            overtakers &+= 1
            return .high
        }
    }

    /// The number of pieces of high priority after which one of low priority begins, if one waits: enough that it delays the
    /// others little, and few enough that no flood of high priority stops the low.
    static let overtakers = 16

    private let waits = (high: Histogram(), low: Histogram())
    private let state = Mutex(State())
    let capacity: Int
    private let jobsMayBlock: Bool

    init(capacity: Int, jobsMayBlock: Bool) {
        self.capacity = capacity
        self.jobsMayBlock = jobsMayBlock
    }

    /// How long jobs have waited.
    func waits(_ priority: JobPriority) -> Histogram { priority == .high ? waits.high : waits.low }

    /// The number of jobs of which a piece has not begun.
    func depth(_ priority: JobPriority) -> Int { state.withLock { $0[priority].jobs.count } }

    func peakDepth(_ priority: JobPriority) -> Int { state.withLock { $0[priority].peak } }

    var depth: Int { state.withLock { $0.high.jobs.count + $0.low.jobs.count } }

    // MARK: The caller's side

    private func takeRoom(_ state: inout State, _ priority: JobPriority) -> Bool {
        state.isStopped || state[priority].takeRoom(capacity)
    }

    /// Suspends the caller until there is room for a job or the queue is stopped. Returns true if the caller waited,
    /// which `append` needs to know.
    func takeRoom(_ priority: JobPriority) async -> Bool {
        if state.withLock({ takeRoom(&$0, priority) }) { return false }
        return await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
            let hasRoom = state.withLock { state in
                if takeRoom(&state, priority) { return true }
                state[priority].waiting.append(continuation)
                return false
            }
            if hasRoom { continuation.resume(returning: false) }
        }
    }

    /// Adds a job for which there is room. Returns an error if it is refused.
    func append(
        _ job: @escaping Job, pieces: Int, _ priority: JobPriority, waited: Bool, isLast: Bool
    ) -> ReactorError? {
        let time = Duration.now(CLOCK_MONOTONIC)
        return state.withLock { state in
            state[priority].keepPromise(waited: waited)
            if state.isStopped { return .closed }
            state[priority].append(Entry(job: job, pieces: pieces, time: time))
            state.isStopped = isLast
            return nil
        }
    }

    func stop() {
        let callers = state.withLock { state in
            state.isStopped = true
            return [state.high.stop(), state.low.stop()]
        }
        for caller in callers.joined() { caller.resume(returning: true) }
    }

    func abandon() { state.withLock { $0.isAbandoned = true } }

    // MARK: The runner's side

    /// Takes the next piece, or the next of high priority, if one is queued. `goesOn` is false if there is none and the queue is
    /// stopped.
    package func takeNext(onlyHigh: Bool = false) -> (piece: Piece?, goesOn: Bool) {
        let (taken, priority, caller, goesOn) = state.withLock {
            state -> (Entry?, JobPriority, UnsafeContinuation<Bool, Never>?, Bool) in
            guard let priority = state.choose(onlyHigh: onlyHigh), let taken = state[priority].takePiece()
            else {
                return (nil, .low, nil, !state.isStopped)
            }
            return (taken, priority, state[priority].wakeNext(capacity), true)
        }
        caller?.resume(returning: true)
        guard let taken else { return (nil, goesOn) }
        if taken.begun == 0 { waits(priority).record(.now(CLOCK_MONOTONIC) - taken.time) }
        return (Piece(job: taken.job, number: taken.begun, queue: self), goesOn)
    }

    /// Runs the next piece, if one is queued. Returns false if the queue is empty and stopped.
    @discardableResult
    package func runNext() -> Bool {
        let (piece, goesOn) = takeNext()
        piece?.run()
        return goesOn
    }
}
