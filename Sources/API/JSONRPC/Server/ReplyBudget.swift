import Collections
import Node
import Reactor
import Synchronization

/// The memory that replies may take: encoded and not yet written, or about to be read and encoded.
///
/// It keeps clients that request much, or that do not read their replies, from filling the memory. Clients that wait
/// for room take turns, so a client with many calls does not hold up one with few. Safe to use from any thread.
public final class ReplyBudget: Sendable {
    /// The sizes of the budget's parts, in bytes.
    public struct Limits: Sendable {
        /// All replies together. A call whose answer may be large waits for room.
        public var server: Int
        /// One reply: once the answers of a batch reach it, no further call starts. A single answer may exceed it.
        public var reply = 32 << 20
        /// The reservation for a call whose answer may be large: a query returns up to 32 MiB of rows; a block of 6 MiB
        /// triples in size as JSON.
        public var largeCall = 32 << 20
        /// The reservation for a query that is tried as a short one: JSON may take eight times its 64 KiB of rows.
        public var shortQuery = 512 << 10
        /// The numbers of long and short queries at once: as many as run, so that clients take turns here.
        fileprivate let longQueries, shortQueries: Int

        /// Creates the limits for a number of query processes, with room for two look-ups beside them.
        public init(queryProcesses: Int = Configuration.Queries().processes) {
            (longQueries, shortQueries) = (max(queryProcesses - 1, 1), queryProcesses)
            server = (2 + longQueries) * largeCall + shortQueries * shortQuery
        }
    }

    /// The kinds of large calls. Long queries take seconds, so they leave room for the others, which are served first.
    enum Kind: Int, CaseIterable {
        case lookUp, shortQuery, longQuery
    }

    /// A client's calls that wait for room, in order of arrival.
    private typealias Line = WaitLine<Void, Void>
    /// The clients with waiting calls, in the order in which they began to wait.
    private typealias Lines = OrderedDictionary<SocketAddress?, Line>

    private struct State {
        var replies = 0
        var reserved = 0
        /// The parts of `reserved`, by kind.
        var parts = Kind.allCases.map { _ in 0 }
        /// The number of each client's latest large call, since the queues were last empty.
        var turns: [SocketAddress?: UInt64] = [:]
        /// The calls that wait, by kind.
        var lines = Kind.allCases.map { _ in Lines() }
        var count: UInt64 = 0
    }

    /// The maximum number of clients in `turns`.
    private static let rememberedTurns = 16_384

    /// The limits.
    public let limits: Limits
    private let state = Mutex(State())

    /// Creates an unused budget.
    public init(_ limits: Limits = Limits()) { self.limits = limits }

    /// Whether unwritten replies fill the budget, so that no call should start.
    public var isFull: Bool { state.withLock { $0.replies >= limits.server } }

    /// The size of the unwritten replies, in bytes.
    public var replies: Int { state.withLock { $0.replies } }

    /// The share of all long queries, which is also the maximum size of one query's answer.
    var queryShare: Int { share(of: .longQuery) }

    private func share(of kind: Kind) -> Int {
        switch kind {
        case .lookUp: limits.server
        case .shortQuery: limits.shortQueries * limits.shortQuery
        case .longQuery: limits.longQueries * limits.largeCall
        }
    }

    private func size(of kind: Kind) -> Int { kind == .shortQuery ? limits.shortQuery : limits.largeCall }

    /// Waits for room for a client's large call and reserves it. Returns nil if the task is cancelled.
    func reserve(for kind: Kind, of client: SocketAddress? = nil) async -> Reservation? {
        if state.withLock({ take(&$0, kind, client) }) { return Reservation(self, kind) }
        let room: Void? = await state.wait(
            in: { state, use in Self.withLine(&state.lines[kind.rawValue], client, use) }, as: ()
        ) {
            take(&$0, kind, client) ? .some(()) : nil
        }
        return room.map { Reservation(self, kind) }
    }

    /// Passes on the line of a client, which exists as long as a call is in it.
    private static func withLine(
        _ lines: inout Lines, _ client: SocketAddress?, _ use: (inout Line) -> Line.Waiter?
    ) -> Line.Waiter? {
        let waiter = use(&lines[client, default: Line()])
        if lines[client]?.isEmpty == true { lines[client] = nil }
        return waiter
    }

    private func hasRoom(_ state: State, _ kind: Kind) -> Bool {
        let (used, part, size) = (state.replies &+ state.reserved, state.parts[kind.rawValue], size(of: kind))
        guard used == 0 || used &+ size <= limits.server else { return false }
        return part == 0 || part &+ size <= share(of: kind)
    }

    private func take(_ state: inout State, _ kind: Kind, _ client: SocketAddress?) -> Bool {
        guard state.lines[kind.rawValue].isEmpty, hasRoom(state, kind) else { return false }
        begin(&state, kind, client)
        return true
    }

    private func begin(_ state: inout State, _ kind: Kind, _ client: SocketAddress?) {
        state.reserved &+= size(of: kind)
        state.parts[kind.rawValue] &+= size(of: kind)
        let isQuiet = state.lines.allSatisfy { $0.isEmpty }
        if isQuiet || state.turns.count >= Self.rememberedTurns { state.turns = [:] }
        state.count &+= 1
        state.turns[client] = state.count
    }

    private func end(_ state: inout State, _ kind: Kind) {
        state.reserved &-= size(of: kind)
        state.parts[kind.rawValue] &-= size(of: kind)
    }

    private func change(_ change: (inout State) -> Void) {
        let ready = state.withLock { state in
            change(&state)
            // Every reply comes here twice, and hardly ever does a call wait.
            guard state.lines.contains(where: { !$0.isEmpty }) else { return [Line.Waiter]() }
            return Kind.allCases.flatMap { wake(&state, $0) }
        }
        for waiter in ready { waiter.resume(returning: ()) }
    }

    /// Reserves room for as many waiters as fit, and returns them.
    private func wake(_ state: inout State, _ kind: Kind) -> [Line.Waiter] {
        var ready: [Line.Waiter] = []
        while hasRoom(state, kind), let client = Self.next(of: state.lines[kind.rawValue], state.turns) {
            let waiter = Self.withLine(&state.lines[kind.rawValue], client) { $0.popFirst() }
            begin(&state, kind, client)
            if let waiter { ready.append(waiter) }
        }
        return ready
    }

    /// Returns the waiting client whose latest turn is the longest ago, or nil.
    private static func next(of lines: Lines, _ turns: [SocketAddress?: UInt64]) -> SocketAddress?? {
        var best: (client: SocketAddress?, turn: UInt64)?
        for client in lines.keys {
            guard let turn = turns[client] else { return client }
            if best.map({ turn < $0.turn }) ?? true { best = (client, turn) }
        }
        return best.map { $0.client }
    }

    fileprivate func add(replies bytes: Int) { change { $0.replies &+= bytes } }

    fileprivate func release(_ kind: Kind) { change { end(&$0, kind) } }

    // MARK: Parts

    /// Room for one large call, released with the last reference.
    final class Reservation: Sendable {
        private let budget: ReplyBudget
        private let kind: Kind

        fileprivate init(_ budget: ReplyBudget, _ kind: Kind) {
            self.budget = budget
            self.kind = kind
        }

        deinit { budget.release(kind) }
    }

    /// The bytes of one reply, released with the last reference.
    public final class Charge: Sendable {
        private let budget: ReplyBudget
        private let count = Atomic(0)

        init(_ budget: ReplyBudget) { self.budget = budget }

        /// The size of the reply so far, in bytes.
        var bytes: Int { count.load(ordering: .relaxed) }

        func add(_ bytes: Int) {
            count.add(bytes, ordering: .relaxed)
            budget.add(replies: bytes)
        }

        deinit { budget.add(replies: -bytes) }
    }
}
