import API
import Arguments
import Bytes
import Chain
import Crypto
import Multiformats
import Node
import Reactor

/// Signs one transaction per row and submits them to one node. Several senders do so, each over its own connection and
/// with consecutive nonces.
struct Submission: Sendable {
    /// The number of senders besides the owner. Their keys are of all supported types.
    static let senders = 6
    /// The maximum number of transactions in a JSON-RPC batch.
    static let batch = 100
    /// The maximum size of a batch's transactions, in bytes: half of what a node accepts in a request
    /// (`rpc.max_req_size`), since base64 and JSON add a third and some 500 bytes to each.
    static let batchBytes = Configuration().rpc.requestLimit(NetworkParameters(leader: nil)) / 2

    /// The maximum size of a transaction, in bytes.
    static let transactionBytes = NetworkParameters(leader: nil).transactionLimit

    private struct Sender: Sendable {
        let key: PrivateKey
        let isEthereum: Bool

        var account: String {
            get throws {
                guard isEthereum else { return key.publicKey.nodeID }
                guard let address = key.publicKey.ethereumAddress else {
                    throw CommandFailure("the key has no Ethereum address")
                }
                return "0x" + Hex.encode(address)
            }
        }

        func sign(_ payload: Payload, nonce: UInt64, chainID: String) throws -> Transaction {
            let body = TransactionBody(payload, nonce: nonce, chainID: chainID)
            return try Transaction.signed(
                body, serialization: isEthereum ? .concat : .direct, by: key, ethereum: isEthereum)
        }
    }

    private let table: RecordTable
    private let owner: Sender
    private let senders: [Sender]
    private let chainID: String
    private let address: String

    init(table: RecordTable, owner: PrivateKey, chainID: String, to address: String) throws {
        self.table = table
        self.owner = Sender(key: owner, isEthereum: false)
        self.chainID = chainID
        self.address = address
        senders = try (0..<Self.senders).map { index in
            Sender(
                key: try PrivateKey.generate(index < 4 ? .ed25519 : .secp256k1), isEthereum: index == 5)
        }
    }

    /// Creates the table and grants access to the senders. Returns when all of this is committed.
    func prepare() async throws {
        let client = try RPCClient(address, timeout: .seconds(60))
        var nonce: UInt64 = 0
        func commit(_ statement: RawStatement) async throws {
            nonce += 1
            let transaction = try owner.sign(.rawStatement(statement), nonce: nonce, chainID: chainID)
            let outcome = try await client.broadcast(transaction, waitForCommit: true)
            guard let result = outcome.result, result.code == 0 else {
                throw CommandFailure("\(statement.sql): \(outcome.result?.log ?? "no result")")
            }
        }
        try await commit(RawStatement(table.create))
        for sender in senders {
            try await commit(
                RawStatement(
                    "INSERT INTO grants (identifier) VALUES ($identifier)",
                    [.init("$identifier", .text(try sender.account))]))
        }
        await client.close()
    }

    /// Submits every row. Returns when the node has accepted all of them.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in senders.indices { group.addTask { try await run(sender: index) } }
            try await group.waitForAll()
        }
    }

    private func run(sender index: Int) async throws {
        let client = try RPCClient(address, timeout: .seconds(60))
        var nonce: UInt64 = 0
        var row = index
        // Signed, but left over because it did not fit the batch.
        var next: Transaction?
        while next != nil || row < table.records.rows.count {
            try Task.checkCancellation()
            var transactions: [Transaction] = []
            var bytes = 0
            while transactions.count < Self.batch {
                guard let transaction = try next ?? sign(&row, &nonce, by: senders[index]) else { break }
                next = transaction
                bytes += transaction.bytes.count
                guard bytes <= Self.batchBytes || transactions.isEmpty else { break }
                transactions.append(transaction)
                next = nil
            }
            while !transactions.isEmpty {
                let refused = try await client.broadcast(transactions)
                guard let first = refused.first else { break }
                // A full mempool is back-pressure: resend the refused transactions in order.
                guard refused.allSatisfy({ $0.failure.isBackPressure || $0.index > first.index }),
                    first.failure.isBackPressure
                else { throw CommandFailure("\(address) refused a transaction: \(first.failure)") }
                transactions = refused.map { transactions[$0.index] }
                try await Reactor.sleep(for: .milliseconds(100))
            }
        }
        await client.close()
    }

    /// Returns the signed transaction of `row` and advances `row` to the sender's next. Returns nil if there are no
    /// more rows.
    private func sign(_ row: inout Int, _ nonce: inout UInt64, by sender: Sender) throws -> Transaction? {
        guard row < table.records.rows.count else { return nil }
        nonce += 1
        let statement = RawStatement(table.insert, table.parameters(row))
        let transaction = try sender.sign(.rawStatement(statement), nonce: nonce, chainID: chainID)
        guard transaction.bytes.count <= Self.transactionBytes else {
            throw CommandFailure(
                "row \(row + 1) makes a transaction of \(transaction.bytes.count) bytes; the chain's limit is \(Self.transactionBytes)"
            )
        }
        row += senders.count
        return transaction
    }
}
