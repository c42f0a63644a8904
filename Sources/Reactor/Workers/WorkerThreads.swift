import Synchronization

/// The threads of one worker. Each starts when more jobs are queued or running than there are threads, up to the worker's
/// number, and all end when the worker has stopped and nothing is queued.
///
/// A pool has one more thread, for jobs of high priority that come while the others are busy: the kernel runs a thread that
/// was asleep at once, whereas the others may have lost their processors in the middle of a job.
final class WorkerThreads: WorkerRunner {
    private let name: String
    private let kind: Worker.Kind
    private let available = Semaphore()
    private let started = Atomic(0)
    /// The number of signals on which no thread has acted yet, or acts now: one for each piece queued or running. The thread for
    /// high priority may already have taken the piece.
    private let load = Atomic(0)
    private let highAvailable = Semaphore()
    private let highState = Mutex(HighState.none)

    /// The state of the thread for high priority.
    private enum HighState {
        /// It has not started, or none could be created.
        case none
        case asleep
        /// It looks for a job after this.
        case awake
    }

    init(_ name: String, _ kind: Worker.Kind) {
        self.name = name
        self.kind = kind
    }

    func jobAdded(to queue: WorkerQueue, _ priority: JobPriority) {
        let load = load.add(1, ordering: .relaxed).newValue
        let count = started.load(ordering: .relaxed)
        if count < kind.threads, count < load, !start(queue), count == 0 {
            // No thread can be created now: run the queued jobs here, late rather than never.
            while queue.depth > 0 { queue.runNext() }
        }
        available.signal()
        if priority == .high, kind != .thread, load > kind.threads { wakeHigh(queue) }
    }

    /// Starts another thread, unless all have started meanwhile. Returns false if none can be created.
    private func start(_ queue: WorkerQueue) -> Bool {
        let number = started.add(1, ordering: .relaxed).oldValue
        guard number < kind.threads else {
            started.subtract(1, ordering: .relaxed)
            return true
        }
        do throws(ReactorError) {
            try LoopThread.start(kind == .thread ? name : "\(name)-\(number)") { [self] in
                repeat { available.wait() } while run(queue)
                // The next thread ends, too.
                available.signal()
            }
            return true
        } catch {
            started.subtract(1, ordering: .relaxed)
            return false
        }
    }

    /// Acts on a signal: runs the next piece, if one is queued. Returns false if the queue is empty and stopped.
    private func run(_ queue: WorkerQueue) -> Bool {
        let goesOn = queue.runNext()
        load.subtract(1, ordering: .relaxed)
        return goesOn
    }

    // MARK: The thread for high priority

    private func wakeHigh(_ queue: WorkerQueue) {
        let before = highState.withLock { state in
            defer { state = .awake }
            return state
        }
        switch before {
        case .awake: return
        case .asleep: break
        case .none:
            do throws(ReactorError) {
                try LoopThread.start("\(name)-\(JobPriority.high.rawValue)") { [self] in
                    repeat { highAvailable.wait() } while runHigh(queue)
                }
            } catch {
                // The other threads do its work.
                highState.withLock { $0 = .none }
                return
            }
        }
        highAvailable.signal()
    }

    /// Runs all pieces of high priority. Returns false if the queue is stopped.
    private func runHigh(_ queue: WorkerQueue) -> Bool {
        highState.withLock { $0 = .asleep }
        while true {
            let (piece, goesOn) = queue.takeNext(onlyHigh: true)
            guard let piece else { return goesOn }
            piece.run()
        }
    }

    func stop() {
        available.signal()
        highAvailable.signal()
    }
}
