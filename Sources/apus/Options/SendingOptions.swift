import API
import Arguments
import Chain
import Crypto
import JSON

/// The options of commands that sign and send a transaction.
struct SendingOptions {
    let key: String
    let nonce: UInt64?
    let waits: Bool
    let rpc: RPCOptions
    let output: OutputForm

    static var parameters: Parameter<SendingOptions> {
        .group(
            "Sending",
            .required("key", .path("FILE"), "Key file of the signer."),
            Parameter<UInt64?>.option(
                "nonce", .integer(0...UInt64.max), "Nonce; by default the account's next."),
            .flag("wait", "Wait until the transaction is committed."),
            RPCOptions.parameters,
            OutputForm.parameter,
            make: SendingOptions.init)
    }

    /// Signs and sends a transaction, and prints its ID.
    func send(_ payload: Payload) async throws {
        let signer = try KeyFile.load(key)
        let client = try rpc.client
        let chainID = try await client.chainID()
        let outcome = try await broadcast(client, from: AccountID(signer.publicKey)) { nonce in
            try Transaction.signed(TransactionBody(payload, nonce: nonce, chainID: chainID), by: signer)
        }
        switch output {
        case .text: try StandardOutput.print("\(outcome.id)")
        case .json: try StandardOutput.print(.sent(outcome.id, outcome.result))
        }
        guard let result = outcome.result else { return }
        guard result.isOK else {
            throw CommandFailure("committed, but failed with code \(result.code): \(result.log)")
        }
        if output == .text { try StandardOutput.print("committed") }
    }

    /// The maximum number of attempts when other transactions keep taking the nonce.
    private static let attempts = 5

    /// Sends the transaction that `transaction` makes for the chosen nonce, or for the account's next.
    private func broadcast(
        _ client: RPCClient, from account: AccountID, _ transaction: (UInt64) throws -> Transaction
    ) async throws -> (id: Hash, result: TransactionResult?) {
        if let nonce { return try await client.broadcast(try transaction(nonce), waitForCommit: waits) }
        var attempt = 0
        while true {
            attempt += 1
            // Unconfirmed transactions count: the last one may have been sent a moment ago.
            let last = try await client.account(account, isPending: true).nonce
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

extension JSONLine {
    /// The members of `user.broadcast`.
    fileprivate static func sent(_ id: Hash, _ result: TransactionResult?) -> JSONLine {
        .object {
            $0.member("tx_hash", hex: id)
            guard let result else { return }
            $0.name("result")
            $0.result(result)
        }
    }
}
