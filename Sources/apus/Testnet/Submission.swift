import API
import Bytes
import Chain
import Crypto
import Multiformats
import Node

/// Signs one transaction a row and submits them all to one node: several senders, each over a connection of its own
/// and with nonces in sequence.
struct Submission: Sendable {
    /// Senders beside the owner; their keys are of all kinds that the network knows.
    static let senders = 6
    /// Transactions in one JSON-RPC batch at most.
    static let batch = 100
    /// Bytes of the transactions of one batch at most: of what a node takes in a request (`rpc.max_req_size`), half.
    /// Base64 and JSON add a third and some 500 bytes to each.
    static let batchBytes = Configuration().rpc.requestLimit(NetworkParameters(leader: nil)) / 2

    /// Bytes of one transaction at most.
    static let transactionBytes = NetworkParameters(leader: nil).transactionLimit

    private struct Sender: Sendable {
        let key: PrivateKey
        let isEthereum: Bool

        var account: String {
            get throws {
                guard isEthereum else { return key.publicKey.nodeID }
                guard let address = key.publicKey.ethereumAddress else {
                    throw Testnet.Failure("key has no Ethereum address")
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

    /// Creates the table and grants the senders; returns when that is committed.
    func prepare() async throws {
        let client = try RPCClient(address, timeout: .seconds(60))
        var nonce: UInt64 = 0
        func commit(_ statement: RawStatement) async throws {
            nonce += 1
            let transaction = try owner.sign(.rawStatement(statement), nonce: nonce, chainID: chainID)
            let outcome = try await client.broadcast(transaction, waitForCommit: true)
            guard let result = outcome.result, result.code == 0 else {
                throw Testnet.Failure("\(statement.sql): \(outcome.result?.log ?? "no result")")
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

    /// Submits every row; returns when the node has accepted them all.
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
        // Signed, but too large for the batch that it was signed for.
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
                // A full mempool is back-pressure: what was refused is sent again, in order.
                guard refused.allSatisfy({ $0.failure.isBackPressure || $0.index > first.index }),
                    first.failure.isBackPressure
                else { throw Testnet.Failure("\(address) refused a transaction: \(first.failure)") }
                transactions = refused.map { transactions[$0.index] }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        await client.close()
    }

    /// The transaction of a row, of which `row` then names the sender's next; nil if there are no more.
    private func sign(_ row: inout Int, _ nonce: inout UInt64, by sender: Sender) throws -> Transaction? {
        guard row < table.records.rows.count else { return nil }
        nonce += 1
        let statement = RawStatement(table.insert, table.parameters(row))
        let transaction = try sender.sign(.rawStatement(statement), nonce: nonce, chainID: chainID)
        guard transaction.bytes.count <= Self.transactionBytes else {
            throw Testnet.Failure(
                "row \(row + 1) makes a transaction of \(transaction.bytes.count) bytes; the chain takes \(Self.transactionBytes)"
            )
        }
        row += senders.count
        return transaction
    }
}
