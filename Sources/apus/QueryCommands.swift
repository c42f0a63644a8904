import API
import Arguments
import Bytes
import Chain
import Crypto
import Log

/// Where a node answers JSON-RPC.
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

/// `apus status`.
struct StatusCommand: Action {
    let rpc: RPCOptions

    static var command: Command {
        Command("status", "Show where a node stands.", RPCOptions.parameters, action: StatusCommand.init)
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
            let padding = String(repeating: " ", count: 14 - name.count)
            try StandardOutput.print(name + padding + EscapedText(text).description)
        }
    }
}

/// `apus query`.
struct QueryCommand: Action {
    let sql: String
    let parameters: [StatementParameters.Parameter]
    let rpc: RPCOptions

    static var command: Command {
        Command(
            "query", "Run one read-only SQL statement on a node's committed state.",
            discussion: """
                Prints the columns' names, then a line for each row, with tabs between the cells. In a cell, tabs, line \
                ends and what else a terminal would obey are escaped with a backslash; NULL is NULL, bytes are x'00ff', \
                and a text that reads like another kind of value stands in quotation marks.
                """,
            .argument(.text("SQL"), "The statement, with parameters named $name."),
            StatementParameters.option,
            RPCOptions.parameters,
            action: QueryCommand.init)
    }

    func validate() throws(UsageError) { try StatementParameters.check(parameters) }

    func run() async throws {
        let values = parameters.map { RawStatement.Parameter($0.name, $0.value) }
        let result = try await rpc.client.query(sql, values)
        try StandardOutput.print(result.columns.map { EscapedText($0).description }.joined(separator: "\t"))
        for row in result.rows {
            try StandardOutput.print(row.map(CellText.text).joined(separator: "\t"))
        }
    }
}

/// Parameters of a statement as the command line writes them.
enum StatementParameters {
    struct Parameter: Equatable {
        /// With its dollar sign.
        let name: String
        let value: Value
    }

    static var option: Arguments.Parameter<[Parameter]> {
        .repeated(
            "parameter", letter: "p",
            Syntax("NAME=TEXT", expected: "name=text, or name:=whole number", parse: parse),
            "A parameter: name=text, or name:=whole number.")
    }

    /// Refuses a name that comes twice. Names are bytes: SQLite tells apart what Swift takes for one text.
    static func check(_ parameters: [Parameter]) throws(UsageError) {
        var names: Set<[UInt8]> = []
        for parameter in parameters where !names.insert(Array(parameter.name.utf8)).inserted {
            throw .inconsistent("--parameter \(parameter.name) is given twice")
        }
    }

    private static func parse(_ text: String) -> Parameter? {
        let bytes = text.utf8
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        var name = text[..<equals]
        let rest = String(text[bytes.index(after: equals)...])
        var value = Value.text(rest)
        if name.utf8.last == UInt8(ascii: ":") {
            name = text[..<bytes.index(before: equals)]
            guard let number = Int64(rest) else { return nil }
            value = .int8(number)
        }
        if name.utf8.first == UInt8(ascii: "$") {
            name = text[bytes.index(after: name.startIndex)..<name.endIndex]
        }
        return name.isEmpty ? nil : Parameter(name: "$\(name)", value: value)
    }
}
