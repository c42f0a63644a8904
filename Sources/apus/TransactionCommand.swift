import API
import Arguments
import Bytes
import Chain
import Crypto
import Log

/// `apus tx`: send a statement or a validator's transaction, look at a transaction.
enum TransactionCommand {
    static var command: Command {
        Command(
            "tx", "Send and look up transactions.",
            subcommands: [
                Send.command, ValidatorJoin.command, ValidatorApprove.command, ValidatorRemove.command,
                ValidatorLeave.command, Show.command,
            ])
    }

    /// `apus tx send`.
    struct Send: Action {
        let sql: String
        let parameters: [StatementParameters.Parameter]
        let sending: SendingOptions

        static var command: Command {
            Command(
                "send", "Sign an SQL statement and send it.",
                .argument(.text("SQL"), "The statement, with parameters named $name."),
                StatementParameters.option,
                SendingOptions.parameters,
                action: Send.init)
        }

        func validate() throws(UsageError) { try StatementParameters.check(parameters) }

        func run() async throws {
            // In an order of its own, so that one statement has one ID however it was typed.
            let sorted = parameters.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            try await sending.send(
                .rawStatement(RawStatement(sql, sorted.map { RawStatement.Parameter($0.name, $0.value) })))
        }
    }

    /// `apus tx show`.
    struct Show: Action {
        let id: Hash
        let rpc: RPCOptions

        static var command: Command {
            Command(
                "show", "Look up a transaction by its ID.",
                .argument(.transactionID, "64 hexadecimal digits."),
                RPCOptions.parameters,
                action: Show.init)
        }

        func run() async throws {
            let found = try await rpc.client.transaction(id)
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

/// Who signs a transaction, and where it goes.
struct SendingOptions {
    let key: String
    let nonce: UInt64?
    let waits: Bool
    let rpc: RPCOptions

    static var parameters: Parameter<SendingOptions> {
        .group(
            "Sending",
            .required("key", .path("FILE"), "File of the key that signs."),
            Parameter<UInt64?>.option(
                "nonce", .integer(0...UInt64.max), "Nonce, in place of the account's next."),
            .flag("wait", "Wait until the transaction is committed."),
            RPCOptions.parameters,
            make: SendingOptions.init)
    }

    /// Signs and sends, and prints the transaction's ID.
    func send(_ payload: Payload) async throws {
        let signer = try KeyFile.load(key)
        let client = try rpc.client
        let chainID = try await client.chainID()
        let outcome = try await broadcast(client) { nonce in
            try Transaction.signed(TransactionBody(payload, nonce: nonce, chainID: chainID), by: signer)
        } account: {
            AccountID(signer.publicKey)
        }
        try StandardOutput.print("\(outcome.id)")
        if let result = outcome.result {
            guard result.isOK else {
                throw CommandFailure("committed, but failed with code \(result.code): \(result.log)")
            }
            try StandardOutput.print("committed")
        }
    }

    /// How often a nonce that another transaction was given meanwhile is replaced by the next one.
    private static let attempts = 5

    /// Sends what `transaction` makes of the account's next nonce.
    private func broadcast(
        _ client: RPCClient, _ transaction: (UInt64) throws -> Transaction, account: () -> AccountID
    ) async throws -> (id: Hash, result: TransactionResult?) {
        if let nonce { return try await client.broadcast(try transaction(nonce), waitForCommit: waits) }
        var attempt = 0
        while true {
            attempt += 1
            // What waits counts: it was sent a moment ago.
            let last = try await client.account(account(), isPending: true).nonce
            do {
                return try await client.broadcast(try transaction(last &+ 1), waitForCommit: waits)
            } catch RPCClient.Failure.server(let failure)
                where failure.data?.code == TransactionCode.invalidNonce.rawValue && attempt < Self.attempts
            {
                continue
            }
        }
    }
}
