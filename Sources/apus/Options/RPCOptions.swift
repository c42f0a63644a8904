import API
import Arguments

/// The option of commands that call a node.
struct RPCOptions {
    let address: String

    static var parameters: Parameter<RPCOptions> {
        .group(
            "Node",
            .option("rpc", .rpcAddress, default: "127.0.0.1:8484", "The node's JSON-RPC address."),
            make: RPCOptions.init)
    }

    var client: RPCClient {
        get throws { try RPCClient(address, timeout: .seconds(60)) }
    }
}
