/// An answer to an HTTP request: its status and its JSON body.
public struct RPCReply: Sendable {
    /// HTTP's status code. With 503 the same request may succeed a little later.
    public var status = 200
    /// JSON; empty with status 204.
    public var body: [UInt8]
    /// What the body takes of the server's budget, given back when the last copy of this is gone: keep it until the
    /// body has been written, or is counted elsewhere.
    public var charge: ReplyBudget.Charge?

    /// The request's body is larger than the server reads, so that it is not known what was asked.
    static func tooLarge(limit: Int) -> RPCReply {
        let failure = JSONRPC.Failure(
            .limitExceeded,
            "the request is larger than the \(limit) bytes that this node reads (rpc.max_req_size)")
        return RPCReply(status: 413, body: JSONRPC.response(failure))
    }

    /// Nothing answered within `rpc.timeout`, and what it was that was asked is not known.
    static let timeout = RPCReply(
        status: 503,
        body: Array(
            #"{"jsonrpc":"2.0","error":{"code":-32001,"message":"the request took too long"},"id":null}"#.utf8
        ))
}
