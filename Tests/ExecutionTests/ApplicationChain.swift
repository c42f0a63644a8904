import Bytes
import Chain
import Crypto
import TestSupport

@testable import Execution

/// A chain of blocks for one application, with the right nonces and heights.
final class ApplicationChain {
    static let chainID = "execution-tests"

    let application: any Application
    let owner: PrivateKey
    let stranger: PrivateKey
    let genesis: Genesis
    var parameters: NetworkParameters
    /// The nonces after the committed blocks.
    var validators: ValidatorSet
    /// The time of the next blocks, in ms since 1970.
    var time: UInt64 = 0
    private var nonces: [AccountID: UInt64] = [:]

    init(
        _ application: any Application, isGasFree: Bool = true, balances: [(UInt8, Amount)] = [],
        owner: String? = nil, otherValidators: [(seed: UInt8, power: Int64)] = []
    ) throws {
        self.application = application
        self.owner = try TestChain.key(1)
        stranger = try TestChain.key(2)
        parameters = NetworkParameters(leader: self.owner.publicKey)
        parameters.disabledGasCosts = isGasFree
        let allocations = try balances.map { seed, amount in
            Genesis.Allocation(account: AccountID(try TestChain.key(seed).publicKey), amount: amount)
        }
        validators = ValidatorSet(
            try [Validator(key: self.owner.publicKey, power: 1)]
                + otherValidators.map {
                    Validator(key: try TestChain.key($0.seed).publicKey, power: $0.power)
                })
        genesis = Genesis(
            chainID: Self.chainID, databaseOwner: owner ?? self.owner.publicKey.nodeID,
            validators: validators, allocations: allocations,
            parameters: parameters)
        try application.initialize(genesis)
    }

    /// Returns a transaction with the sender's next nonce, or the given one.
    func transaction(
        _ payload: Payload, by key: PrivateKey? = nil, nonce: UInt64? = nil, fee: Amount = 0,
        ethereum: Bool = false
    ) throws -> Transaction {
        let key = key ?? owner
        let sender =
            ethereum
            ? AccountID(identifier: key.publicKey.ethereumAddress ?? [], keyType: .secp256k1)
            : AccountID(key.publicKey)
        let due: UInt64
        if let nonce {
            due = nonce
        } else {
            due = try (nonces[sender] ?? application.account(sender)?.nonce ?? 0) + 1
            nonces[sender] = due
        }
        return try Transaction.signed(
            TransactionBody(payload, fee: fee, nonce: due, chainID: Self.chainID), by: key, ethereum: ethereum
        )
    }

    func statement(
        _ sql: String, _ parameters: [(String, Value)] = [], by key: PrivateKey? = nil
    ) throws -> Transaction {
        try transaction(
            .rawStatement(RawStatement(sql, parameters.map { RawStatement.Parameter($0.0, $0.1) })), by: key)
    }

    func block(_ transactions: [Transaction], newLeader: PublicKey? = nil) -> Block {
        let tip = application.tip
        var header = TestChain.header(height: tip.height + 1, timestamp: time)
        header.transactionCount = UInt32(transactions.count)
        header.previousAppHash = tip.appHash
        header.newLeader = newLeader
        return Block(header: header, signature: [], transactions: transactions.map(\.bytes))
    }

    /// Executes a block of these transactions and leaves it prepared.
    func execute(_ transactions: [Transaction]) throws -> ExecutionResult {
        try application.execute(
            block(transactions), transactions: transactions, parameters: parameters, validators: validators)
    }

    /// Executes and commits a block of these transactions.
    @discardableResult
    func commit(_ transactions: [Transaction]) throws -> ExecutionResult {
        let result = try execute(transactions)
        try application.commit()
        try validators.apply(result.validatorUpdates)
        return result
    }

    /// Undoes the prepared block and its use of nonces.
    func rollback() throws {
        try application.rollback()
        nonces = [:]
    }

    /// Executes and commits a block with one statement by the owner.
    @discardableResult
    func run(_ sql: String, _ parameters: [(String, Value)] = [], by key: PrivateKey? = nil) throws
        -> TransactionResult
    {
        try commit([statement(sql, parameters, by: key)]).results[0]
    }

    /// Returns the rows of a query.
    func rows(
        _ sql: String, _ parameters: KeyValuePairs<String, Value> = [:]
    ) throws -> [[Value]] {
        let parameters = parameters.map { RawStatement.Parameter($0.key, $0.value) }
        return try application.query(sql, parameters, limits: QueryLimits()).rows
    }

    /// Returns the integer result of a query.
    func number(_ sql: String) throws -> Int64? {
        guard case .int8(let number) = try rows(sql).first?.first?.scalar else { return nil }
        return number
    }
}

extension TemporaryDirectory {
    /// Opens a new application on the directory's database.
    func open(_ name: String = "a") throws -> SQLApplication {
        try SQLApplication(directory: "\(path)/\(name)")
    }
}
