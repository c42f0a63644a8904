import API
import Arguments
import JSON
import Log

/// `apus status`: shows a node's state.
struct StatusCommand: Action {
    let rpc: RPCOptions
    let output: OutputForm

    static var command: Command {
        Command(
            "status", "Show a node's state.", RPCOptions.parameters, OutputForm.parameter,
            action: StatusCommand.init)
    }

    func run() async throws {
        let client = try rpc.client
        if output == .json {
            let status = try await client.ask(.status)
            return try StandardOutput.print(JSONLine { $0.value(status) })
        }
        let status = try await client.status()
        let mempool =
            status.isBlocksOnly
            ? "none: blocks only"
            : "\(status.mempoolCount) transactions, \(status.mempoolSize) bytes"
        let fields: [(name: String, text: String)] = [
            ("node", status.nodeID),
            ("peer ID", status.peerID),
            ("chain", status.chainID),
            ("role", status.role.rawValue + (status.isSyncing ? " (catching up)" : "")),
            ("height", "\(status.height)"),
            ("block", "\(status.blockHash)"),
            ("app hash", "\(status.appHash)"),
            ("peers", "\(status.peerCount)"),
            ("mempool", mempool),
            ("transactions", "\(status.transactionCount)"),
            ("clock", status.clockDoubt ?? "agrees with the chain's"),
            ("reactor", status.reactor),
            ("version", status.version),
        ]
        let trouble = status.trouble.map { [("trouble", $0)] } ?? []
        for (name, text) in fields + trouble + status.listenAddresses.map({ ("listens on", $0) }) {
            try StandardOutput.print(name.padded(to: 14) + EscapedText(text).description)
        }
    }
}
