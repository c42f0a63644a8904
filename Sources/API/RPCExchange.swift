import Chain
import JSON
import Reactor
import Synchronization

/// One HTTP request under way: runs its calls, several at a time, and gathers their answers in the order of the calls.
///
/// Each call is a task of its own, because what a node is asked need not end when it is cancelled: at the deadline a
/// call that is not done is answered for, and whatever comes of it later is dropped.
@ReactorActor
final class RPCExchange {
    /// Calls of one batch that run at the same time: enough to fill the node's signature checks. Of calls whose answers
    /// may be large, one at a time.
    private static let concurrency = 64

    /// Broadcasts of one batch that go to the node together: as many as it checks at once.
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
    /// Bytes of answers with which no further call is begun.
    private let limit: Int
    private let charge: ReplyBudget.Charge
    private let wake = Wakeup()

    private var members: [Member]
    /// The first call that has not begun.
    private var next = 0
    /// The first call whose answer is not in `reply`.
    private var unwritten = 0
    private var reply: [UInt8] = []
    private var running = 0
    /// Broadcasts that have not been handed to the node yet, and their places.
    private var gathered: [(place: Int, request: RPCRequest, transaction: Transaction)] = []
    private var isLargeRunning = false
    /// Whether something was left undone that may be done a little later.
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

    /// Runs all calls; returns when each is answered, or when the task is cancelled.
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
        await withTaskCancellationHandler {
            while unwritten < requests.count, !Task.isCancelled {
                await wake.wait()
                start()
            }
        } onCancel: {
            wake.signal()
        }
        timer.cancel()
        commitTimer?.cancel()
    }

    // MARK: Calls

    /// Begins the calls that there is room for.
    private func start() {
        defer { broadcastGathered() }
        while next < requests.count, running < Self.concurrency, !Task.isCancelled {
            let request = RPCRequest(requests[next])
            if isBatch, charge.bytes >= limit || dispatcher.budget.isFull {
                finish(next, request.refusal(.overBudget))
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
            return finish(index, request.refusal(error))
        }
        if let answer = dispatcher.immediateAnswer(request, call) { return finish(index, answer) }
        if isBatch, case .broadcast(let transaction, waitForCommit: false) = call {
            gathered.append((index, request, transaction))
            if gathered.count == Self.groupSize { broadcastGathered() }
            return
        }
        let isLarge = request.isLarge
        if isLarge {
            guard !dispatcher.budget.isFull else { return refuse(index, request) }
            isLargeRunning = true
        }
        let waitsForCommit = if case .broadcast(_, waitForCommit: true) = call { true } else { false }
        if waitsForCommit, !dispatcher.beginCommitWait(of: client) {
            isUnavailable = true
            return finish(index, request.refusal(.tooManyCommitWaits))
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
        // Kept until the answer is made, also where nobody waits for that any more.
        let kind: ReplyBudget.Kind = if case .query = call { .query } else { .lookUp }
        let room = isLarge ? await dispatcher.budget.reserve(for: kind, of: client) : nil
        if !isLarge || room != nil {
            let (answer, isBusy) = await dispatcher.answer(request, call)
            if isBusy { isUnavailable = true }
            finish(index, answer)
        }
        withExtendedLifetime(room) {}
        running -= 1
        if isLarge { isLargeRunning = false }
        wake.signal()
    }

    /// Hands the broadcasts gathered so far to the node.
    private func broadcastGathered() {
        if gathered.isEmpty { return }
        let group = gathered
        gathered = []
        running += 1
        let task = Reactor.spawn {
            let answers = await self.dispatcher.answer(group.map { ($0.request, $0.transaction) })
            for (member, answer) in zip(group, answers) { self.finish(member.place, answer) }
            self.running -= 1
            self.wake.signal()
        }
        for member in group { members[member.place] = .running(task, waitsForCommit: false) }
    }

    /// No room for the answer to a single call.
    private func refuse(_ index: Int, _ request: RPCRequest) {
        isUnavailable = true
        finish(index, request.refusal(.overBudget))
    }

    // MARK: Answers

    private func finish(_ index: Int, _ answer: [UInt8]) {
        if case .answered = members[index] { return }
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

    /// Answers for all calls that are not done, except for those that may still wait for a commit.
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
            finish(index, RPCRequest(requests[index]).refusal(.init(.timeout, "the request took too long")))
        }
        next = members.count
        wake.signal()
    }

    private func cancel() {
        for case .running(let task, _) in members { task.cancel() }
    }
}

extension JSONRPC.Failure {
    /// What is left of a batch whose answers so far are as much as may be held.
    static let overBudget = JSONRPC.Failure(
        .limitExceeded, "the answers take more than the server holds at once: ask for less, or a little later"
    )

    /// The client has its share of those that wait, or all places are taken.
    static let tooManyCommitWaits = JSONRPC.Failure(
        .limitExceeded,
        "too many calls wait for a commit: ask without waiting, or a little later; nothing was sent")

    /// The node has enough to do.
    static let busy = JSONRPC.Failure(.limitExceeded, "too many queries wait: ask again a little later")
}

/// Lets a task wait for a signal, which is kept until somebody waits. Signals from any thread.
private final class Wakeup: Sendable {
    private struct State {
        var isSignalled = false
        var waiting: UnsafeContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func wait() async {
        await withUnsafeContinuation { waiting in
            let isSignalled = state.withLock { state in
                if !state.isSignalled { state.waiting = waiting }
                defer { state.isSignalled = false }
                return state.isSignalled
            }
            if isSignalled { waiting.resume() }
        }
    }

    func signal() {
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            if state.waiting == nil { state.isSignalled = true }
            return state.waiting
        }
        waiting?.resume()
    }
}
