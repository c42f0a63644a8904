import Chain
import Execution
import JSON
import Node
import Reactor

/// One HTTP request in progress: runs its calls, several at a time, and collects their answers in order.
///
/// Each call is a separate task, because the node may not stop work when the task is cancelled. At the deadline every
/// unfinished call is answered with an error, and its result is dropped when it arrives.
@ReactorActor
final class RPCExchange {
    /// The number of calls of one batch that run concurrently: enough to keep the node's signature checks busy. Calls
    /// whose answers may be large run one at a time.
    private static let concurrency = 64

    /// The number of broadcasts handed to the node together: as many as it checks at once.
    private static let groupSize = 128

    private enum Member {
        case waiting
        case running(Task<Void, Never>, waitsForCommit: Bool)
        case answered([UInt8])
    }

    private let dispatcher: RPCDispatcher
    private let requests: [JSONValue]
    private let isBatch: Bool
    private let client: SocketAddress?
    /// The size of all answers, in bytes, at which no further call starts.
    private let limit: Int
    private let charge: ReplyBudget.Charge
    private let started = Reactor.now
    /// Woken whenever a call has ended or may have expired.
    private let wake = WaitQueue()

    private var members: [Member]
    /// The index of the first call that has not started.
    private var next = 0
    /// The index of the first call whose answer is not in `reply`.
    private var unwritten = 0
    private var reply: [UInt8] = []
    private var running = 0
    /// Broadcasts not yet handed to the node, with their indices.
    private var gathered: [(place: Int, request: RPCRequest, transaction: Transaction)] = []
    private var isLargeRunning = false
    /// Whether a call failed that may succeed when retried later.
    private var isUnavailable = false
    private var commitTimer: Timer?

    init(
        _ dispatcher: RPCDispatcher, _ requests: [JSONValue], isBatch: Bool, _ client: SocketAddress?,
        _ limit: Int
    ) {
        self.dispatcher = dispatcher
        self.requests = requests
        self.isBatch = isBatch
        self.client = client
        self.limit = min(limit, dispatcher.budget.limits.reply)
        charge = ReplyBudget.Charge(dispatcher.budget)
        members = Array(repeating: .waiting, count: requests.count)
    }

    /// Runs all calls. Returns when each is answered or the task is cancelled.
    func run() async -> RPCReply {
        start()
        if unwritten < requests.count { await wait() }
        if Task.isCancelled { cancel() }
        if reply.isEmpty { return RPCReply(status: 204, body: []) }
        if isBatch { reply.append(UInt8(ascii: "]")) }
        return RPCReply(status: isUnavailable && !isBatch ? 503 : 200, body: reply, charge: charge)
    }

    private func wait() async {
        let timer = Reactor.schedule(after: dispatcher.limits.timeout) {
            self.expire(waitingForCommit: false)
        }
        while unwritten < requests.count, await wake.wait() { start() }
        timer.cancel()
        commitTimer?.cancel()
    }

    // MARK: Calls

    /// Starts as many calls as may run.
    private func start() {
        defer { broadcastGathered() }
        while next < requests.count, running < Self.concurrency, !Task.isCancelled {
            let request = RPCRequest(requests[next])
            if isBatch, charge.bytes >= limit || dispatcher.budget.isFull {
                finish(next, request, with: .overBudget)
            } else if request.isLarge, isLargeRunning {
                return
            } else {
                start(request, next)
            }
            next += 1
        }
    }

    private func start(_ request: RPCRequest, _ index: Int) {
        let call: RPCCall
        do throws(JSONRPC.Failure) {
            call = try request.call()
        } catch {
            return finish(index, request, with: error)
        }
        if let answer = dispatcher.immediateAnswer(request, call) { return finish(index, request, answer) }
        if isBatch, case .broadcast(let transaction, waitForCommit: false) = call {
            gathered.append((index, request, transaction))
            if gathered.count == Self.groupSize { broadcastGathered() }
            return
        }
        let isLarge = request.isLarge
        if isLarge {
            guard !dispatcher.budget.isFull else { return refuse(index, request, .overBudget) }
            isLargeRunning = true
        }
        let waitsForCommit = if case .broadcast(_, waitForCommit: true) = call { true } else { false }
        if waitsForCommit, !dispatcher.beginCommitWait(of: client) {
            return refuse(index, request, .tooManyCommitWaits)
        }
        if waitsForCommit, commitTimer == nil {
            let limit = dispatcher.limits.timeout + dispatcher.limits.commitTimeout
            commitTimer = Reactor.schedule(after: limit) { self.expire(waitingForCommit: true) }
        }
        running += 1
        let task = Reactor.spawn {
            await self.perform(request, call, index)
            if waitsForCommit { self.dispatcher.endCommitWait(of: self.client) }
        }
        members[index] = .running(task, waitsForCommit: waitsForCommit)
    }

    private func perform(_ request: RPCRequest, _ call: RPCCall, _ index: Int) async {
        let isLarge = request.isLarge
        if case .query = call {
            let isDone = await perform(request, call, index, .shortQuery)
            if !isDone { _ = await perform(request, call, index, .longQuery) }
        } else {
            _ = await perform(request, call, index, isLarge ? .lookUp : nil)
        }
        running -= 1
        if isLarge { isLargeRunning = false }
        wake.wakeAll()
    }

    /// Performs a call that may be large with room of its kind, unless the client goes before there is any. Returns false for
    /// a query that takes more than a short one may.
    private func perform(
        _ request: RPCRequest, _ call: RPCCall, _ index: Int, _ kind: ReplyBudget.Kind?
    ) async -> Bool {
        var room: ReplyBudget.Reservation?
        if let kind {
            room = await dispatcher.budget.reserve(for: kind, of: client)
            if room == nil { return true }
        }
        let length = kind == .shortQuery ? QueryLength.short : .long
        let (answer, failure) = await dispatcher.answer(request, call, length)
        if failure == .notShort { return false }
        if failure == .busy { isUnavailable = true }
        finish(index, request, answer, failure)
        // Held until the answer is encoded, even if its deadline has passed.
        withExtendedLifetime(room) {}
        return true
    }

    /// Hands the gathered broadcasts to the node.
    private func broadcastGathered() {
        if gathered.isEmpty { return }
        let group = gathered
        gathered = []
        running += 1
        let task = Reactor.spawn {
            let answers = await self.dispatcher.answer(group.map { ($0.request, $0.transaction) })
            for (member, (answer, failure)) in zip(group, answers) {
                self.finish(member.place, member.request, answer, failure)
            }
            self.running -= 1
            self.wake.wakeAll()
        }
        for member in group { members[member.place] = .running(task, waitsForCommit: false) }
    }

    /// Refuses a call that may succeed when retried later.
    private func refuse(_ index: Int, _ request: RPCRequest, _ failure: JSONRPC.Failure) {
        isUnavailable = true
        finish(index, request, with: failure)
    }

    // MARK: Answers

    private func finish(_ index: Int, _ request: RPCRequest, with failure: JSONRPC.Failure) {
        finish(index, request, request.refusal(failure), failure)
    }

    private func finish(
        _ index: Int, _ request: RPCRequest, _ answer: [UInt8], _ failure: JSONRPC.Failure? = nil
    ) {
        if case .answered = members[index] { return }
        dispatcher.metrics.record(
            request.knownMethod, failure.map(RPCMetrics.Outcome.init) ?? .ok, after: Reactor.now - started)
        members[index] = .answered(answer)
        charge.add(answer.count)
        while unwritten < members.count, case .answered(let answer) = members[unwritten] {
            members[unwritten] = .answered([])
            unwritten += 1
            guard !answer.isEmpty else { continue }
            guard isBatch else { return reply = answer }
            reply.append(UInt8(ascii: reply.isEmpty ? "[" : ","))
            reply.append(contentsOf: answer)
        }
    }

    /// Answers every unfinished call with an error, except for calls that may still wait for a commit.
    private func expire(waitingForCommit: Bool) {
        isUnavailable = true
        for index in unwritten..<members.count {
            switch members[index] {
            case .answered: continue
            case .waiting: break
            case .running(let task, let waits):
                if waits, !waitingForCommit { continue }
                task.cancel()
            }
            finish(index, RPCRequest(requests[index]), with: .timeout)
        }
        next = members.count
        wake.wakeAll()
    }

    private func cancel() {
        for case .running(let task, _) in members { task.cancel() }
    }
}

extension JSONRPC.Failure {
    /// The rest of a batch whose answers have used up the budget.
    static let overBudget = JSONRPC.Failure(
        .limitExceeded, "the answers exceed what the server holds at once: request less, or retry later"
    )

    /// The client's share of commit waits, or all of them, are in use.
    static let tooManyCommitWaits = JSONRPC.Failure(
        .limitExceeded,
        "too many calls are waiting for a commit; nothing was sent: retry later, or without waiting")

    static let timeout = JSONRPC.Failure(.timeout, "the request took too long")

    /// The query is to be asked again as a long one. No client sees this.
    static let notShort = JSONRPC.Failure(.internal, NodeError.notShort.description)

    /// The node's query queue is full.
    static let busy = JSONRPC.Failure(.limitExceeded, "too many queries are waiting: retry later")
}
