/// A response's status and JSON body.
struct RPCReply: Sendable {
    var status = 200
    var body: [UInt8]

    /// The node did not answer within `rpc.timeout`.
    static let timeout = RPCReply(
        status: 503,
        body: Array(
            #"{"jsonrpc":"2.0","error":{"code":-32001,"message":"the request took too long"},"id":null}"#.utf8
        ))
}
