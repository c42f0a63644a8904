import API
import Arguments
import Bytes
import Chain
import Crypto
import JSON
import Log

/// `apus tx`: sends and looks up transactions.
enum TransactionCommand {
    static var command: Command {
        Command(
            "tx", "Send and look up transactions.",
            subcommands: [Subcommand("send", Send.command)] + SendValidator.commands
                + [Subcommand("show", Show.command)])
    }

    /// `apus tx send`.
    struct Send: Action {
        let sql: String
        let parameters: [RawStatement.Parameter]
        let sending: SendingOptions

        static var command: Command {
            Command(
                "send", "Sign and send an SQL statement.",
                .argument(.text("SQL"), "Statement, with parameters named $name."),
                StatementParameters.option,
                SendingOptions.parameters,
                action: Send.init)
        }

        func validate() throws(UsageError) { try StatementParameters.check(parameters) }

        func run() async throws {
            // Sorted, so that the ID does not depend on the order on the command line.
            let sorted = parameters.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            try await sending.send(.rawStatement(RawStatement(sql, sorted)))
        }
    }

    /// `apus tx show`.
    struct Show: Action {
        let id: Hash
        let rpc: RPCOptions
        let output: OutputForm

        static var command: Command {
            Command(
                "show", "Look up a transaction by its ID.",
                discussion: """
                    With --json, prints the result of the JSON-RPC method user.tx_query, with the SQL statement and its \
                    parameters in a member "statement". The height of an unconfirmed transaction is -1.
                    """,
                .argument(.transactionID, "ID of 64 hexadecimal digits."),
                RPCOptions.parameters,
                OutputForm.parameter,
                action: Show.init)
        }

        func run() async throws {
            let found = try await rpc.client.transaction(id)
            if output == .json {
                return try StandardOutput.print(.transaction(found.transaction, found.height, found.result))
            }
            let body = found.transaction.body
            try StandardOutput.print("id       \(found.transaction.id)")
            try StandardOutput.print(
                "height   \(found.height < 0 ? "not committed yet" : String(found.height))")
            try StandardOutput.print("sender   \(Hex.encode(found.transaction.sender))")
            try StandardOutput.print("nonce    \(body.nonce)")
            try StandardOutput.print(
                "payload  \(EscapedText("\(body.payloadType)")), \(body.payload.count) bytes")
            if case .rawStatement(let statement)? = try? Payload(of: body) {
                try StandardOutput.print("sql      \(EscapedText(statement.sql.string))")
                for parameter in statement.parameters {
                    let name = EscapedText(parameter.name.string).description
                    try StandardOutput.print("         \(name) = \(CellText.text(parameter.value))")
                }
            }
            if let result = found.result {
                let log = result.log.isEmpty ? "" : ": \(EscapedText(result.log))"
                try StandardOutput.print("result   code \(result.code)\(log)")
            }
        }
    }
}

extension JSONLine {
    fileprivate static func transaction(
        _ transaction: Transaction, _ height: Int64, _ result: TransactionResult?
    ) -> JSONLine {
        .object { line in
            line.member("tx_hash", hex: transaction.id)
            line.member("height", integer: height)
            line.name("tx")
            line.transaction(transaction)
            if let result {
                line.name("tx_result")
                line.result(result)
            }
            guard case .rawStatement(let statement)? = try? Payload(of: transaction.body) else { return }
            line.object("statement") { inner in
                inner.member("sql", text: statement.sql.string)
                inner.array("parameters", of: statement.parameters) { list, parameter in
                    list.object {
                        $0.member("name", text: parameter.name.string)
                        $0.name("value")
                        $0.cell(parameter.value)
                    }
                }
            }
        }
    }
}
