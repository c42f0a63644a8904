import Chain
import Crypto
import Execution
import Multiformats
import Node
import Storage

/// A node of one known transaction, to hold the dispatcher's shapes against.
struct FixedNode: NodeInterface {
    let genesis: Genesis
    let known: Transaction
    var refusal: NodeError?

    init(refusal: NodeError? = nil) throws {
        let key = try PrivateKey.generate(.ed25519)
        genesis = Genesis(
            chainID: "fixed", initialHeight: 0, databaseOwner: key.publicKey.nodeID,
            validators: ValidatorSet([Validator(key: key.publicKey, power: 1)]), allocations: [],
            parameters: NetworkParameters(leader: key.publicKey))
        known = try Transaction.signed(
            TransactionBody(.rawStatement(RawStatement("SELECT 1")), nonce: 1, chainID: "fixed"), by: key)
        self.refusal = refusal
    }

    func status() async -> NodeStatus {
        NodeStatus(
            nodeID: "", peerID: "", role: .leader, height: 7, blockHash: .sha256(of: [1]), appHash: .zero,
            blockTimestamp: 1_000, isSyncing: false, peerCount: 3, mempoolCount: 1, mempoolSize: 100,
            transactionCount: 5, reactor: "epoll", listenAddresses: [])
    }

    func network() async -> NetworkState {
        NetworkState(height: 7, parameters: genesis.parameters, validators: genesis.validators)
    }

    func validatorRequests() async throws(NodeError) -> [ValidatorRequest] { [] }

    func unconfirmed(limit: Int) async -> [Transaction] { Array(repeating: known, count: limit) }

    func broadcast(_ transaction: SharedBytes, waitForCommit: Bool) async throws(NodeError)
        -> BroadcastOutcome
    {
        if let refusal { throw refusal }
        return BroadcastOutcome(
            id: Hash.sha256(of: transaction), result: waitForCommit ? TransactionResult(.ok, gas: 2) : nil)
    }

    func block(at height: Int64) async throws(NodeError) -> StoredBlock? { nil }
    func block(hash: Hash) async throws(NodeError) -> StoredBlock? { nil }

    func transaction(_ id: Hash) async throws(NodeError) -> KnownTransaction? {
        guard id == known.id else { return nil }
        return KnownTransaction(bytes: known.bytes, height: 4, index: 2, result: TransactionResult(.ok))
    }

    func account(_ id: AccountID) async throws(NodeError) -> Account? { Account(balance: 12, nonce: 3) }

    func query(_ sql: String, _ parameters: [String: Value]) async throws(NodeError) -> QueryResult {
        guard sql == "SELECT $a" else { throw .query("only one statement is known") }
        return QueryResult(
            columnNames: ["a", "b"], columnTypes: [DataType(.text), DataType(.int8)],
            rows: [[parameters["$a"] ?? .null, .int8(5)], [.null, .bool(true)]])
    }
}
