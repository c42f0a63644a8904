import Synchronization

/// Bytes of replies that a server holds: encoded and not yet written, or about to be read and encoded. It keeps
/// clients that ask for much, or that do not read what they asked for, from filling the memory.
///
/// Any thread.
public final class ReplyBudget: Sendable {
    /// How much of it there is, in bytes.
    public struct Limits: Sendable {
        /// For all clients. A call whose answer may be large waits until there is room for it.
        public var server = 128 << 20
        /// For one reply: a batch whose answers take more begins no further call. One answer may be larger.
        public var reply = 32 << 20
        /// What a call whose answer may be large is taken to need before it begins: a query's rows have up to 32 MiB,
        /// a block 6 MiB, three times as much as JSON.
        public var largeCall = 32 << 20

        /// The defaults.
        public init() {}
    }

    /// What a large call asks. Of queries, which may take seconds, only so many begin that others still find room.
    enum Kind {
        case query, lookUp
    }

    private struct Waiter {
        let number: UInt64
        let room: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var replies = 0
        var reserved = 0
        /// The part of `reserved` that queries have.
        var reservedByQueries = 0
        /// In the order in which they came.
        var queries: [Waiter] = []
        var lookUps: [Waiter] = []
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

    /// What queries may have of it, and what one query's answer may take.
    var queryShare: Int { limits.server / 2 }

    /// Room for one large call, as soon as there is some. Nil when the task is, or becomes, cancelled.
    func reserve(for kind: Kind) async -> Reservation? {
        let waiting: any WritableKeyPath<State, [Waiter]> & Sendable = kind == .query ? \.queries : \.lookUps
        if state.withLock({ take(&$0, kind) }) { return Reservation(self, kind) }
        let number = state.withLock { state in
            state.count &+= 1
            return state.count
        }
        let isGiven = await withTaskCancellationHandler {
            await withCheckedContinuation { (room: CheckedContinuation<Bool, Never>) in
                let answer: Bool? = state.withLock { state in
                    if Task.isCancelled { return false }
                    if take(&state, kind) { return true }
                    state[keyPath: waiting].append(Waiter(number: number, room: room))
                    return nil
                }
                if let answer { room.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                Self.remove(number, from: &state[keyPath: waiting])
            }
            waiter?.room.resume(returning: false)
        }
        return isGiven ? Reservation(self, kind) : nil
    }

    private static func remove(_ number: UInt64, from waiting: inout [Waiter]) -> Waiter? {
        waiting.firstIndex { $0.number == number }.map { waiting.remove(at: $0) }
    }

    private func hasRoom(_ state: State, _ kind: Kind) -> Bool {
        let used = state.replies &+ state.reserved
        guard used == 0 || used &+ limits.largeCall <= limits.server else { return false }
        let byQueries = state.reservedByQueries
        return kind == .lookUp || byQueries == 0 || byQueries &+ limits.largeCall <= queryShare
    }

    private func take(_ state: inout State, _ kind: Kind) -> Bool {
        guard (kind == .query ? state.queries : state.lookUps).isEmpty, hasRoom(state, kind) else {
            return false
        }
        add(limits.largeCall, to: &state, kind)
        return true
    }

    private func add(_ bytes: Int, to state: inout State, _ kind: Kind) {
        state.reserved &+= bytes
        if kind == .query { state.reservedByQueries &+= bytes }
    }

    private func change(_ change: (inout State) -> Void) {
        let ready = state.withLock { state in
            change(&state)
            return wake(&state, .lookUp, \.lookUps) + wake(&state, .query, \.queries)
        }
        for waiter in ready { waiter.room.resume(returning: true) }
    }

    /// The first of those that wait for whom there is room now.
    private func wake(
        _ state: inout State, _ kind: Kind, _ waiting: WritableKeyPath<State, [Waiter]>
    ) -> [Waiter] {
        var ready: [Waiter] = []
        while ready.count < state[keyPath: waiting].count, hasRoom(state, kind) {
            add(limits.largeCall, to: &state, kind)
            ready.append(state[keyPath: waiting][ready.count])
        }
        state[keyPath: waiting].removeFirst(ready.count)
        return ready
    }

    fileprivate func add(replies bytes: Int) { change { $0.replies &+= bytes } }

    fileprivate func release(_ kind: Kind) { change { add(-limits.largeCall, to: &$0, kind) } }

    // MARK: Parts

    /// Room for one large call, until it is gone.
    final class Reservation: Sendable {
        private let budget: ReplyBudget

        private let kind: Kind

        fileprivate init(_ budget: ReplyBudget, _ kind: Kind) {
            self.budget = budget
            self.kind = kind
        }

        deinit { budget.release(kind) }
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
            budget.add(replies: bytes)
        }

        deinit { budget.add(replies: -bytes) }
    }
}
