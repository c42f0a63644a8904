import Reactor

/// Where the one task that reads a stream, or the one that writes it, waits until it can go on.
@ReactorActor
final class StreamWait {
    private var task: UnsafeContinuation<Void, Never>?
    /// Counts the waits: a cancellation that comes late must not end a later one.
    private var serial = 0

    var isWaiting: Bool { task != nil }

    /// Lets the task that waits go on, if there is one.
    func resume() {
        guard let waiting = task else { return }
        task = nil
        waiting.resume()
    }

    /// Suspends the calling task until `resume`. False when the task was cancelled.
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
