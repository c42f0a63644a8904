import Reactor

/// Suspends the task that reads a stream, or the one that writes to it, until it can continue.
@ReactorActor
final class StreamWait {
    private var task: UnsafeContinuation<Void, Never>?
    /// The number of the current wait, so that a late cancellation does not end the next one.
    private var serial = 0

    var isWaiting: Bool { task != nil }

    /// Resumes the waiting task, if there is one.
    func resume() {
        guard let waiting = task else { return }
        task = nil
        waiting.resume()
    }

    /// Suspends the calling task until `resume`. Returns false if the task was cancelled.
    func suspend() async -> Bool {
        serial &+= 1
        let serial = serial
        var cancelled = false
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                guard !Task.isCancelled else {
                    cancelled = true
                    return continuation.resume()
                }
                task = continuation
            }
        } onCancel: {
            Reactor.enqueue { if self.serial == serial { self.resume() } }
        }
        return !cancelled && !Task.isCancelled
    }
}
