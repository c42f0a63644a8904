import Synchronization

/// Bytes of replies that a server holds: encoded and not yet written, or about to be read and encoded. It keeps
/// clients that ask for much, or that do not read what they asked for, from filling the memory.
///
/// Any thread.
public final class ReplyBudget: Sendable {
    /// How much of it there is, in bytes.
    public struct Limits: Sendable {
        /// For all clients. A call whose answer may be large waits until there is room for it.
        public var server = 256 << 20
        /// For one reply: a batch whose answers take more begins no further call. One answer may be larger.
        public var reply = 32 << 20
        /// What a call whose answer may be large is taken to need before it begins: a query's rows have up to 32 MiB,
        /// a block 6 MiB, three times as much as JSON.
        public var largeCall = 32 << 20

        /// The defaults.
        public init() {}
    }

    private struct Waiter {
        let number: UInt64
        let room: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var replies = 0
        var reserved = 0
        /// In the order in which they came.
        var waiting: [Waiter] = []
        var count: UInt64 = 0
    }

    /// The limits.
    public let limits: Limits
    private let state = Mutex(State())

    /// A budget of which nothing is used.
    public init(_ limits: Limits = Limits()) { self.limits = limits }

    /// Whether the replies that wait to be written take all of it: no more should be begun now.
    public var isFull: Bool { state.withLock { $0.replies >= limits.server } }

    /// Bytes of replies that wait to be written.
    public var replies: Int { state.withLock { $0.replies } }

    /// Room for one large call, as soon as there is some. Nil when the task is, or becomes, cancelled.
    func reserve() async -> Reservation? {
        if state.withLock({ take(&$0) }) { return Reservation(self) }
        let number = state.withLock { state in
            state.count &+= 1
            return state.count
        }
        let isGiven = await withTaskCancellationHandler {
            await withCheckedContinuation { (room: CheckedContinuation<Bool, Never>) in
                let answer: Bool? = state.withLock { state in
                    if Task.isCancelled { return false }
                    if take(&state) { return true }
                    state.waiting.append(Waiter(number: number, room: room))
                    return nil
                }
                if let answer { room.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0) }
            }
            waiter?.room.resume(returning: false)
        }
        return isGiven ? Reservation(self) : nil
    }

    private func hasRoom(_ state: State) -> Bool {
        let used = state.replies &+ state.reserved
        return used == 0 || used &+ limits.largeCall <= limits.server
    }

    private func take(_ state: inout State) -> Bool {
        guard state.waiting.isEmpty, hasRoom(state) else { return false }
        state.reserved &+= limits.largeCall
        return true
    }

    fileprivate func change(replies: Int = 0, reserved: Int = 0) {
        let ready = state.withLock { state in
            state.replies &+= replies
            state.reserved &+= reserved
            var ready: [Waiter] = []
            while ready.count < state.waiting.count, hasRoom(state) {
                state.reserved &+= limits.largeCall
                ready.append(state.waiting[ready.count])
            }
            state.waiting.removeFirst(ready.count)
            return ready
        }
        for waiter in ready { waiter.room.resume(returning: true) }
    }

    // MARK: Parts

    /// Room for one large call, until it is gone.
    final class Reservation: Sendable {
        private let budget: ReplyBudget

        fileprivate init(_ budget: ReplyBudget) { self.budget = budget }

        deinit { budget.change(reserved: -budget.limits.largeCall) }
    }

    /// The bytes of one reply, until it is gone.
    public final class Charge: Sendable {
        private let budget: ReplyBudget
        private let count = Atomic(0)

        init(_ budget: ReplyBudget) { self.budget = budget }

        /// Bytes of the reply so far.
        var bytes: Int { count.load(ordering: .relaxed) }

        func add(_ bytes: Int) {
            count.add(bytes, ordering: .relaxed)
            budget.change(replies: bytes)
        }

        deinit { budget.change(replies: -bytes) }
    }
}
