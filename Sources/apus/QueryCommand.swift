import API
import Arguments
import Chain
import JSON
import Log

/// `apus query`: runs a read-only SQL statement on a node.
struct QueryCommand: Action {
    let sql: String
    let parameters: [RawStatement.Parameter]
    let rpc: RPCOptions
    let output: OutputForm

    static var command: Command {
        Command(
            "query", "Run one read-only SQL statement on a node's committed state.",
            discussion: """
                Prints the column names, then a line for each row, with tabs between the cells. In a cell, tabs, line breaks \
                and control characters are escaped with a backslash, NULL is NULL, bytes are x'00ff', and text that looks \
                like another kind of value is in quotation marks. With \
                --json, prints the result of the JSON-RPC method user.query.
                """,
            .argument(.text("SQL"), "Statement, with parameters named $name."),
            StatementParameters.option,
            RPCOptions.parameters,
            OutputForm.parameter,
            action: QueryCommand.init)
    }

    func validate() throws(UsageError) { try StatementParameters.check(parameters) }

    func run() async throws {
        let client = try rpc.client
        if output == .json {
            let result = try await client.ask(.query(sql, parameters))
            return try StandardOutput.print(JSONLine { $0.value(result) })
        }
        let result = try await client.query(sql, parameters)
        try StandardOutput.print(result.columns.map { EscapedText($0).description }.joined(separator: "\t"))
        for row in result.rows {
            try StandardOutput.print(row.map(CellText.text).joined(separator: "\t"))
        }
    }
}
