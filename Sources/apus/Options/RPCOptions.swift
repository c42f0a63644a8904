import API
import Arguments
import JSON

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

extension RPCClient.Failure: ReportedError {
    /// Writes the error that the node reported, as JSON-RPC has it, or the message.
    package func write(to writer: inout JSONWriter) {
        switch self {
        case .server(let failure): failure.write(to: &writer)
        case .transport(let reason): writer.object { $0.member("message", text: reason) }
        }
    }
}
