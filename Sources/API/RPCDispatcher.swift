import Chain
import Collections
import JSON
import Node
import Reactor

/// Turns the bytes of a JSON-RPC request, single or batch, into those of its response by asking the node.
///
/// On a reactor, any one: the server's, which need not be the node's.
@ReactorActor
public final class RPCDispatcher {
    /// How long a request may take.
    public struct Limits: Sendable {
        /// From a whole request to its answer. Calls that are not done by then are answered with an error each.
        public var timeout = Duration.seconds(20)
        /// How much longer a call may take that asked to wait for a transaction's commit: as long as the node waits.
        public var commitTimeout = Duration.seconds(15)
        /// Calls that may wait for a commit at once: as many as the node keeps. A client's share is a tenth; clients on this
        /// machine may have all.
        public var commitWaits = 10_000

        /// The defaults.
        public init() {}
    }

    let node: any NodeInterface
    let limits: Limits
    let wallClock: @Sendable () -> Int64
    /// What all replies together may take.
    public nonisolated let budget: ReplyBudget
    private lazy var commitWaits = SharedPlaces<SocketAddress?>(
        capacity: limits.commitWaits, perPeer: limits.commitWaits)

    /// - Parameter wallClock: milliseconds since 1970, for the age of the latest block.
    public nonisolated init(
        _ node: any NodeInterface, limits: Limits = Limits(), budget: ReplyBudget = ReplyBudget(),
        wallClock: @escaping @Sendable () -> Int64
    ) {
        self.node = node
        self.limits = limits
        self.budget = budget
        self.wallClock = wallClock
    }

    /// `GET /api/v1/health`.
    public func health() async -> RPCReply {
        let status = await node.status()
        var writer = JSONWriter(capacity: 512)
        writeHealth(status, to: &writer)
        return RPCReply(status: status.isHealthy ? 200 : 503, body: writer.bytes)
    }

    /// `POST /rpc/v1`: the answer, which is charged to the budget until it is gone. Returns early, with nothing of use,
    /// when the task is cancelled: the client has gone.
    ///
    /// - Parameters:
    ///   - client: who asks; nil for the process itself.
    ///   - limit: bytes of the answer beyond which a batch begins no further call, if that is less than the budget has for
    ///     one reply.
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
        // One more than there may be is enough to refuse them.
        let requests = Array(array.prefix(JSONRPC.maximumBatch + 1))
        guard !requests.isEmpty, requests.count <= JSONRPC.maximumBatch else {
            return failed(.init(.invalidRequest, "a batch has 1 to \(JSONRPC.maximumBatch) requests"))
        }
        return await RPCExchange(self, requests, isBatch: true, client, limit).run()
    }

    /// Lets one more call of a client wait for a commit; false when others need the places.
    func beginCommitWait(of client: SocketAddress?) -> Bool {
        commitWaits.take(client, isTrusted: client?.isLoopback ?? true)
    }

    func endCommitWait(of client: SocketAddress?) { commitWaits.release(client) }

    /// The answer to a call, and whether it may be another a little later.
    func answer(_ request: RPCRequest, _ call: RPCCall) async -> (answer: [UInt8], isBusy: Bool) {
        var writer = JSONWriter()
        request.begin(&writer)
        do throws(JSONRPC.Failure) {
            try await respond(to: call, &writer)
        } catch {
            return (request.refusal(error), error == .busy)
        }
        request.end(&writer)
        return (request.isNotification ? [] : writer.bytes, false)
    }

    /// The answers to broadcasts that need not wait for a commit, in order.
    func answer(_ broadcasts: [(request: RPCRequest, transaction: Transaction)]) async -> [[UInt8]] {
        let outcomes = await node.broadcast(broadcasts.map { $0.transaction.bytes })
        return zip(broadcasts, outcomes).map { broadcast, outcome in
            do throws(JSONRPC.Failure) {
                return try answer(broadcast.request) { writer throws(JSONRPC.Failure) in
                    try write(outcome, of: broadcast.transaction, to: &writer)
                }
            } catch {
                return broadcast.request.refusal(error)
            }
        }
    }

    /// The answer to a call for which nobody has to be waited for; nil for any other.
    func immediateAnswer(_ request: RPCRequest, _ call: RPCCall) -> [UInt8]? {
        switch call {
        case .ping(let message):
            answer(request) { writer in writer.object { $0.member("message", text: message) } }
        case .version(let service):
            answer(request) { $0.version(service) }
        case .status(let question):
            node.knownStatus.map { status in answer(request) { write(status, for: question, to: &$0) } }
        default: nil
        }
    }

    /// The answer whose result `write` writes.
    private func answer<E>(
        _ request: RPCRequest, _ write: (inout JSONWriter) throws(E) -> Void
    ) throws(E) -> [UInt8] {
        var writer = JSONWriter()
        request.begin(&writer)
        try write(&writer)
        request.end(&writer)
        return request.isNotification ? [] : writer.bytes
    }

    /// The reply to a single request for which nobody has to be waited for, without the cost of an exchange.
    private func immediateReply(_ root: JSONValue) -> RPCReply? {
        let request = RPCRequest(root)
        let body: [UInt8]
        do throws(JSONRPC.Failure) {
            // Only these are read here: the others' parameters would be read twice.
            guard request.isImmediate, let answer = immediateAnswer(request, try request.call()) else {
                return nil
            }
            body = answer
        } catch {
            body = request.refusal(error)
        }
        if body.isEmpty { return RPCReply(status: 204, body: []) }
        let charge = ReplyBudget.Charge(budget)
        charge.add(body.count)
        return RPCReply(body: body, charge: charge)
    }

    private func failed(_ failure: JSONRPC.Failure) -> RPCReply {
        RPCReply(body: JSONRPC.response(failure))
    }
}
