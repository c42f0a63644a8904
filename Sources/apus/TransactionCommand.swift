import API
import ArgumentParser
import Chain
import Crypto
import Multiformats

/// `apus tx`: send a statement or a validator's transaction, look at a transaction.
struct TransactionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tx", abstract: "Send and look up transactions.",
        subcommands: [
            Send.self, ValidatorJoin.self, ValidatorApprove.self, ValidatorRemove.self, ValidatorLeave.self,
            Show.self,
        ])

    /// `apus tx send`.
    struct Send: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Sign an SQL statement and send it.")

        @Argument(help: "The statement, with parameters named $name.")
        var sql: String

        @Option(
            name: .shortAndLong,
            help: "A parameter: name=text, or name:=whole number. May be given several times.")
        var parameter: [String] = []

        @OptionGroup var sending: SendingOptions

        func run() async throws {
            let statement = RawStatement(sql, try StatementParameters.parse(parameter))
            try await sending.send(.rawStatement(statement))
        }
    }

    /// `apus tx show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Look up a transaction by its ID.")

        @Argument(help: "64 hexadecimal digits.")
        var id: String

        @OptionGroup var rpc: RPCOptions

        func run() async throws {
            guard let hash = Hash(hex: id) else {
                throw ValidationError("\"\(id)\" is not a transaction ID of 64 hexadecimal digits")
            }
            let found = try await rpc.client.transaction(hash)
            let body = found.transaction.body
            print("id       \(found.transaction.id)")
            print("height   \(found.height < 0 ? "not committed yet" : String(found.height))")
            print("sender   \(Hex.encode(found.transaction.sender))")
            print("nonce    \(body.nonce)")
            print("payload  \(body.payloadType), \(body.payload.count) bytes")
            if case .rawStatement(let statement)? = try? Payload(of: body) {
                print("sql      \(statement.sql)")
                for parameter in statement.parameters {
                    print("         \(parameter.name) = \(StatementParameters.text(parameter.value))")
                }
            }
            if let result = found.result {
                print("result   code \(result.code)\(result.log.isEmpty ? "" : ": \(result.log)")")
            }
        }
    }
}

/// Who signs a transaction, and where it goes.
struct SendingOptions: ParsableArguments {
    @Option(help: "File of the key that signs.")
    var key: String

    @Option(help: "Nonce; default: the account's next.")
    var nonce: UInt64?

    @Flag(help: "Wait until the transaction is committed.")
    var wait = false

    @OptionGroup var rpc: RPCOptions

    /// Signs and sends, and prints the transaction's ID.
    func send(_ payload: Payload) async throws {
        let signer = try KeyFile.load(key)
        let client = try rpc.client
        let chainID = try await client.chainID()
        let next: UInt64
        if let nonce {
            next = nonce
        } else {
            next = try await client.account(AccountID(signer.publicKey)).nonce &+ 1
        }
        let transaction = try Transaction.signed(
            TransactionBody(payload, nonce: next, chainID: chainID), by: signer)
        let outcome = try await client.broadcast(transaction, waitForCommit: wait)
        print(outcome.id)
        if let result = outcome.result {
            guard result.isOK else {
                throw CommandFailure("committed, but failed with code \(result.code): \(result.log)")
            }
            print("committed")
        }
    }
}

/// A command that did not do what it was asked to: one line.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
