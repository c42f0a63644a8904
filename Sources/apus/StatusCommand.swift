import API
import Arguments
import Log

/// `apus status`: shows a node's state.
struct StatusCommand: Action {
    let rpc: RPCOptions

    static var command: Command {
        Command("status", "Show a node's state.", RPCOptions.parameters, action: StatusCommand.init)
    }

    func run() async throws {
        let status = try await rpc.client.status()
        let mempool =
            status.blocksOnly
            ? "none: blocks only"
            : "\(status.mempoolTransactions) transactions, \(status.mempoolBytes) bytes"
        let fields: [(name: String, text: String)] = [
            ("node", status.nodeId),
            ("peer ID", status.peerId),
            ("chain", status.chainId),
            ("role", status.role + (status.syncing ? " (catching up)" : "")),
            ("height", "\(status.height)"),
            ("block", status.blockHash),
            ("app hash", status.appHash),
            ("peers", "\(status.peers)"),
            ("mempool", mempool),
            ("transactions", "\(status.transactions)"),
            ("clock", status.clock ?? "agrees with the chain's"),
            ("reactor", status.reactor),
            ("version", status.version),
        ]
        let trouble = status.trouble.map { [("trouble", $0)] } ?? []
        for (name, text) in fields + trouble + status.listen.map({ ("listens on", $0) }) {
            try StandardOutput.print(name.padded(to: 14) + EscapedText(text).description)
        }
    }
}
