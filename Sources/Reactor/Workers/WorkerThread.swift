import Synchronization

/// The thread of one worker. It starts with the first job and ends when the worker has stopped and nothing is queued.
final class WorkerThread: WorkerRunner {
    private let name: String
    private let available = Semaphore()
    private let isStarted = Atomic(false)

    init(_ name: String) { self.name = name }

    func jobAdded(to queue: WorkerQueue) {
        if !isStarted.exchange(true, ordering: .sequentiallyConsistent) {
            do throws(ReactorError) {
                try LoopThread.start(name) { [available] in
                    repeat { available.wait() } while queue.runNext()
                }
            } catch {
                // No thread can be created now: run the queued jobs here, late rather than never.
                isStarted.store(false, ordering: .sequentiallyConsistent)
                while queue.depth > 0 { queue.runNext() }
                return
            }
        }
        available.signal()
    }

    func stop() { available.signal() }
}
