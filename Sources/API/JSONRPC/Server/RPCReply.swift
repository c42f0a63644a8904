/// The reply to an HTTP request: a status and a JSON body.
public struct RPCReply: Sendable {
    /// The HTTP status code. After 503 the same request may succeed later.
    public var status = 200
    /// The JSON; empty with status 204.
    public var body: [UInt8]
    /// The body's share of the server's budget, released with its last reference: keep it until the body is written or
    /// counted elsewhere.
    public var charge: ReplyBudget.Charge?

    /// The reply to a request whose body exceeds the limit and was not read.
    static func tooLarge(limit: Int) -> RPCReply {
        let failure = JSONRPC.Failure(
            .limitExceeded,
            "the request exceeds this node's limit of \(limit) bytes (rpc.max_req_size)")
        return RPCReply(status: 413, body: JSONRPC.response(failure))
    }

    /// The reply to a request that ran out of time before its ID was read.
    static let timeout = RPCReply(status: 503, body: JSONRPC.response(.timeout))
}
