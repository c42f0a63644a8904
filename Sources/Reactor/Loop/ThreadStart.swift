import Synchronization

/// Passes a new thread's first result to the thread that started it.
final class ThreadStart<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, ReactorError>?>(nil)
    private let finished = Semaphore()

    func finish(_ value: Result<Value, ReactorError>) {
        result.withLock { $0 = value }
        finished.signal()
    }

    func wait() throws(ReactorError) -> Value {
        finished.wait()
        guard let value = result.withLock({ $0 }) else { throw .closed }
        return try value.get()
    }
}
