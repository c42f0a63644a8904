import Chain
import Collections
import Execution
import JSON
import Metrics
import Node
import Reactor

/// Answers JSON-RPC requests, single or batch, by asking the node.
///
/// Runs on any reactor, such as the server's; it need not be the node's.
@ReactorActor
public final class RPCDispatcher {
    /// The limits on a request's time.
    public struct Limits: Sendable {
        /// The time from receiving a request to answering it. Each call that takes longer is answered with an error.
        public var timeout = Duration.seconds(20)
        /// The extra time for a call that waits for a transaction's commit: as long as the node waits.
        public var commitTimeout = Duration.seconds(15)
        /// The number of calls that may wait for a commit at once: as many as the node tracks. A client may use a tenth
        /// of them; clients on this machine may use all.
        public var commitWaits = 10_000

        /// The defaults.
        public init() {}
    }

    let node: any NodeInterface
    /// The limits on a request's time, which apply to requests that arrive from now on.
    var limits: Limits
    let wallClock: @Sendable () -> Int64
    nonisolated let metrics: RPCMetrics
    /// The memory that all replies together may take.
    public nonisolated let budget: ReplyBudget
    /// Write large results of queries, and large blocks, which would hold up other clients.
    let answers = Worker(name: "answers", capacity: 64)
    let blockAnswers = Worker(name: "block-answers", capacity: 64)
    private lazy var commitWaits = SharedPlaces<SocketAddress?>(
        capacity: limits.commitWaits, perPeer: limits.commitWaits)

    /// - Parameter wallClock: milliseconds since 1970, for the age of the latest block.
    public nonisolated init(
        _ node: any NodeInterface, limits: Limits = Limits(), budget: ReplyBudget = ReplyBudget(),
        metrics: RPCMetrics = RPCMetrics(MetricsRegistry()), wallClock: @escaping @Sendable () -> Int64
    ) {
        self.node = node
        self.limits = limits
        self.budget = budget
        self.metrics = metrics
        self.wallClock = wallClock
    }

    /// Answers `GET /api/v1/health`.
    public func health() async -> RPCReply {
        let status = await node.status()
        var writer = JSONWriter(capacity: 512)
        writer.health(status, now: wallClock())
        return RPCReply(status: status.isHealthy ? 200 : 503, body: writer.bytes)
    }

    /// Answers `POST /rpc/v1`. The reply is charged to the budget while it exists. If the task is cancelled because the
    /// client has gone, returns early with an arbitrary reply.
    ///
    /// - Parameters:
    ///   - client: the client's address; nil for the process itself.
    ///   - limit: the size of the answer, in bytes, at which a batch starts no further call, if that is below the budget's
    ///     limit for one reply.
    public func respond(
        to body: [UInt8], from client: SocketAddress? = nil, limit: Int = .max
    ) async -> RPCReply {
        let root: JSONValue
        do {
            root = try JSONDocument(body, depth: JSONRPC.maximumDepth).root
        } catch {
            return failed(.init(.parse, error.description))
        }
        guard case .array = root.kind, let array = try? root.array() else {
            if let reply = immediateReply(root) { return reply }
            return await RPCExchange(self, [root], isBatch: false, client, limit).run()
        }
        // One more than the maximum is enough to refuse the batch.
        let requests = Array(array.prefix(JSONRPC.maximumBatch + 1))
        guard !requests.isEmpty, requests.count <= JSONRPC.maximumBatch else {
            return failed(.init(.invalidRequest, "a batch must have 1 to \(JSONRPC.maximumBatch) requests"))
        }
        return await RPCExchange(self, requests, isBatch: true, client, limit).run()
    }

    /// Takes a place for a call that waits for a commit. Returns false if the client has used up its share.
    func beginCommitWait(of client: SocketAddress?) -> Bool {
        commitWaits.take(client, isTrusted: client?.isLoopback ?? true)
    }

    func endCommitWait(of client: SocketAddress?) { commitWaits.release(client) }

    /// Returns the answer to a call, and the failure in it, if any. `length` is that of a query.
    func answer(
        _ request: RPCRequest, _ call: RPCCall, _ length: QueryLength
    ) async -> (answer: [UInt8], failure: JSONRPC.Failure?) {
        var writer = JSONWriter()
        request.begin(&writer)
        do throws(JSONRPC.Failure) {
            try await respond(to: call, length, &writer)
        } catch {
            return (request.refusal(error), error)
        }
        request.end(&writer)
        return (request.isNotification ? [] : writer.bytes, nil)
    }

    /// Returns the answers, in order, to broadcasts that do not wait for a commit, and the failures in them.
    func answer(
        _ broadcasts: [(request: RPCRequest, transaction: Transaction)]
    ) async -> [(answer: [UInt8], failure: JSONRPC.Failure?)] {
        let outcomes = await node.broadcast(broadcasts.map { $0.transaction.bytes }, waitForCommit: false)
        return zip(broadcasts, outcomes).map { broadcast, outcome in
            do throws(JSONRPC.Failure) {
                let answer = try answer(broadcast.request) { writer throws(JSONRPC.Failure) in
                    try write(outcome, of: broadcast.transaction, to: &writer)
                }
                return (answer, nil)
            } catch {
                return (broadcast.request.refusal(error), error)
            }
        }
    }

    /// Returns the answer to a call that needs no waiting for the node; nil for any other call.
    func immediateAnswer(_ request: RPCRequest, _ call: RPCCall) -> [UInt8]? {
        switch call {
        case .ping(let message):
            answer(request) { writer in writer.object { $0.member("message", text: message.string) } }
        case .version(let service):
            answer(request) { $0.version(service) }
        case .clock: answer(request) { $0.clock(node.clockReading) }
        case .status(let question):
            node.knownStatus.map { status in answer(request) { write(status, for: question, to: &$0) } }
        default: nil
        }
    }

    /// Returns an answer whose result `write` writes.
    private func answer<E>(
        _ request: RPCRequest, _ write: (inout JSONWriter) throws(E) -> Void
    ) throws(E) -> [UInt8] {
        var writer = JSONWriter()
        request.begin(&writer)
        try write(&writer)
        request.end(&writer)
        return request.isNotification ? [] : writer.bytes
    }

    /// Returns the reply to a single request that needs no waiting, without the cost of an exchange; nil for any other.
    private func immediateReply(_ root: JSONValue) -> RPCReply? {
        let request = RPCRequest(root)
        let start = Reactor.now
        var outcome = RPCMetrics.Outcome.ok
        let body: [UInt8]
        do throws(JSONRPC.Failure) {
            // Checked first, so that no other call's parameters are read twice.
            guard request.isImmediate, let answer = immediateAnswer(request, try request.call()) else {
                return nil
            }
            body = answer
        } catch {
            body = request.refusal(error)
            outcome = RPCMetrics.Outcome(error)
        }
        metrics.record(request.knownMethod, outcome, after: Reactor.now - start)
        if body.isEmpty { return RPCReply(status: 204, body: []) }
        let charge = ReplyBudget.Charge(budget)
        charge.add(body.count)
        return RPCReply(body: body, charge: charge)
    }

    private func failed(_ failure: JSONRPC.Failure) -> RPCReply {
        metrics.record(nil, RPCMetrics.Outcome(failure), after: .zero)
        return RPCReply(body: JSONRPC.response(failure))
    }
}
