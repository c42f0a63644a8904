import Reactor

/// Tasks that wait for the same thing, first come, first served.
@ReactorActor
final class WaitingList {
    private struct Waiter {
        let number: Int
        let continuation: UnsafeContinuation<Bool, Never>
    }

    private var waiters: [Waiter] = []
    private var lastNumber = 0

    /// Waits to be woken. False when the task was cancelled instead.
    func wait() async -> Bool {
        lastNumber &+= 1
        let number = lastNumber
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                guard !Task.isCancelled else { return continuation.resume(returning: false) }
                waiters.append(Waiter(number: number, continuation: continuation))
            }
        } onCancel: {
            Reactor.enqueue { self.cancel(number) }
        }
    }

    private func cancel(_ number: Int) {
        guard let index = waiters.firstIndex(where: { $0.number == number }) else { return }
        waiters.remove(at: index).continuation.resume(returning: false)
    }

    /// Wakes whoever has waited longest.
    func wakeFirst() {
        guard !waiters.isEmpty else { return }
        waiters.removeFirst().continuation.resume(returning: true)
    }

    /// Wakes all.
    func wakeAll() {
        let woken = waiters
        waiters = []
        for waiter in woken { waiter.continuation.resume(returning: true) }
    }
}
