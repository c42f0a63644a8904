import API
import Arguments
import Bytes
import Chain
import Crypto

/// The node to load and what it needs to accept the load: a table with a row for each sender, and a grant for each.
struct LoadTarget: Sendable {
    /// The sizes of transactions that the chain's usual limits allow. The least leaves some bytes for the text.
    static let sizes = 400...1_000_000

    private static let table = "load_measurement"
    private static let write = "UPDATE \(table) SET text = $text WHERE sender = $sender"

    let address: String
    let chainID: String
    let senders: [LoadSender]
    /// The size of each transaction, in bytes.
    let size: Int
    private let owner: PrivateKey

    /// Creates the senders' keys, the table and the grants. Throws if the key may not do so.
    static func prepare(_ command: LoadCommand) async throws -> LoadTarget {
        let client = try command.rpc.client
        let owner = try KeyFile.load(command.key)
        let chainID = try await client.chainID()
        let senders = try (0..<command.senders).map { number in
            LoadSender(number: number, key: try PrivateKey.generate(.ed25519))
        }
        let target = LoadTarget(
            address: command.rpc.address, chainID: chainID, senders: senders, size: command.size, owner: owner
        )
        let rows = senders.map { "(\($0.number), '')" }.joined(separator: ", ")
        let names = senders.map { "('\($0.account)')" }.joined(separator: ", ")
        // Fails if there is such a table: it is somebody's, or another load's.
        try await target.commit(
            ["CREATE TABLE \(table) (sender INTEGER PRIMARY KEY NOT NULL, text TEXT NOT NULL)"], client)
        do {
            try await target.commit(
                ["INSERT INTO \(table) VALUES \(rows)", "INSERT INTO grants (identifier) VALUES \(names)"],
                client)
        } catch {
            await target.cleanUp()
            throw error
        }
        await client.close()
        return target
    }

    /// Drops the table and revokes the grants. Says on standard error if that fails, as after an overload it may.
    func cleanUp() async {
        do {
            let names = senders.map { "'\($0.account)'" }.joined(separator: ", ")
            let client = try RPCClient(address, timeout: .seconds(60))
            try await commit(
                ["DELETE FROM grants WHERE identifier IN (\(names))", "DROP TABLE \(Self.table)"], client)
            await client.close()
        } catch {
            StandardError.print("the table \(Self.table) and its senders' grants remain: \(error)")
        }
    }

    private func commit(_ statements: [String], _ client: RPCClient) async throws {
        var nonce = try await client.account(AccountID(owner.publicKey), isPending: true).nonce
        for sql in statements {
            nonce &+= 1
            let body = TransactionBody(.rawStatement(RawStatement(sql)), nonce: nonce, chainID: chainID)
            let outcome = try await client.broadcast(Transaction.signed(body, by: owner), waitForCommit: true)
            guard let result = outcome.result, result.isOK else {
                let reason = outcome.result.map { "\($0.log) (code \($0.code))" } ?? "no result"
                throw CommandFailure("cannot prepare the database: \(sql.prefix(60)): \(reason)")
            }
        }
    }

    /// Returns a sender's transaction, of `size` bytes if the text has the length that `textSize` tells.
    func transaction(of sender: LoadSender, nonce: UInt64, text: String) throws(ChainError) -> Transaction {
        let statement = RawStatement(
            Self.write, [.init("$sender", .int8(Int64(sender.number))), .init("$text", .text(text))])
        return try Transaction.signed(
            TransactionBody(.rawStatement(statement), nonce: nonce, chainID: chainID), by: sender.key)
    }
}

extension LoadTarget {
    /// The length of the text that makes a transaction of `size` bytes.
    var textSize: Int {
        get throws {
            guard let sender = senders.last else { return 0 }
            // With a nonce of the usual length: it is written in a fixed number of bytes, but the text's length is not.
            let rest = try transaction(of: sender, nonce: 1, text: "").bytes.count
            return max(0, size - rest)
        }
    }
}
