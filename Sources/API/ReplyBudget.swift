import Reactor
import Synchronization

/// Bytes of replies that a server holds: encoded and not yet written, or about to be read and encoded. It keeps
/// clients that ask for much, or that do not read what they asked for, from filling the memory. Clients that wait for
/// room take turns: one that asks for many waits behind all others.
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
        let client: SocketAddress?
        let room: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var replies = 0
        var reserved = 0
        /// The part of `reserved` that queries have.
        var reservedByQueries = 0
        /// When each client's last large call began, counted in calls; of those since the lines were empty.
        var turns: [SocketAddress?: UInt64] = [:]
        /// In the order in which they came.
        var queries: [Waiter] = []
        var lookUps: [Waiter] = []
        var count: UInt64 = 0
    }

    /// Clients whose turns are remembered at most.
    private static let rememberedTurns = 16_384

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

    /// Room for one large call of a client, as soon as there is some. Nil when the task is, or becomes, cancelled.
    func reserve(for kind: Kind, of client: SocketAddress? = nil) async -> Reservation? {
        let waiting: any WritableKeyPath<State, [Waiter]> & Sendable = kind == .query ? \.queries : \.lookUps
        if state.withLock({ take(&$0, kind, client) }) { return Reservation(self, kind) }
        let number = state.withLock { state in
            state.count &+= 1
            return state.count
        }
        let isGiven = await withTaskCancellationHandler {
            await withCheckedContinuation { (room: CheckedContinuation<Bool, Never>) in
                let answer: Bool? = state.withLock { state in
                    if Task.isCancelled { return false }
                    if take(&state, kind, client) { return true }
                    state[keyPath: waiting].append(Waiter(number: number, client: client, room: room))
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

    private func take(_ state: inout State, _ kind: Kind, _ client: SocketAddress?) -> Bool {
        guard (kind == .query ? state.queries : state.lookUps).isEmpty, hasRoom(state, kind) else {
            return false
        }
        begin(&state, kind, client)
        return true
    }

    private func begin(_ state: inout State, _ kind: Kind, _ client: SocketAddress?) {
        state.reserved &+= limits.largeCall
        if kind == .query { state.reservedByQueries &+= limits.largeCall }
        let isQuiet = state.queries.isEmpty && state.lookUps.isEmpty
        if isQuiet || state.turns.count >= Self.rememberedTurns { state.turns = [:] }
        state.count &+= 1
        state.turns[client] = state.count
    }

    private func end(_ state: inout State, _ kind: Kind) {
        state.reserved &-= limits.largeCall
        if kind == .query { state.reservedByQueries &-= limits.largeCall }
    }

    private func change(_ change: (inout State) -> Void) {
        let ready = state.withLock { state in
            change(&state)
            return wake(&state, .lookUp, \.lookUps) + wake(&state, .query, \.queries)
        }
        for waiter in ready { waiter.room.resume(returning: true) }
    }

    /// Those that wait for whom there is room now.
    private func wake(
        _ state: inout State, _ kind: Kind, _ waiting: WritableKeyPath<State, [Waiter]>
    ) -> [Waiter] {
        var ready: [Waiter] = []
        while hasRoom(state, kind), let index = Self.next(of: state[keyPath: waiting], state.turns) {
            let waiter = state[keyPath: waiting].remove(at: index)
            begin(&state, kind, waiter.client)
            ready.append(waiter)
        }
        return ready
    }

    /// The first one of the client whose last turn is the longest ago.
    private static func next(of line: [Waiter], _ turns: [SocketAddress?: UInt64]) -> Int? {
        var best: (index: Int, turn: UInt64)?
        for (index, waiter) in line.enumerated() {
            guard let turn = turns[waiter.client] else { return index }
            if best.map({ turn < $0.turn }) ?? true { best = (index, turn) }
        }
        return best?.index
    }

    fileprivate func add(replies bytes: Int) { change { $0.replies &+= bytes } }

    fileprivate func release(_ kind: Kind) { change { end(&$0, kind) } }

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
