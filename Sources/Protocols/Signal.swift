import Reactor

/// Lets one task wait until another has something for it. If it is fired while no task waits, the next wait ends at once.
@ReactorActor
final class Signal {
    private var isFired = false
    private var waiter: CheckedContinuation<Void, Never>?

    func fire() {
        if let waiter {
            self.waiter = nil
            waiter.resume()
        } else {
            isFired = true
        }
    }

    /// Only one task may wait at a time.
    func wait() async {
        if isFired {
            isFired = false
            return
        }
        precondition(waiter == nil)
        await withCheckedContinuation { waiter = $0 }
    }

    /// Waits until it is fired, or until a time of the reactor.
    func wait(until deadline: Duration) async {
        let timer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) { self.fire() }
        await wait()
        timer.cancel()
    }
}
