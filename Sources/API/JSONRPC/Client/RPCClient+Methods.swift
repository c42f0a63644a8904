import Bytes
import Chain
import Crypto
import JSON
import Node

extension RPCClient {
    /// The result of a query.
    public struct Rows: Sendable {
        /// The names of the columns, in the statement's order.
        public let columns: [String]
        /// The rows, each with one value per column.
        public let rows: [[Value]]
    }

    /// Calls `user.broadcast`.
    ///
    /// - Returns: the transaction ID and, after waiting for the commit, the result.
    public func broadcast(
        _ transaction: Transaction, waitForCommit: Bool = false
    ) async throws(Failure) -> (id: Hash, result: TransactionResult?) {
        try await call(
            .userBroadcast, { $0.broadcast(transaction, waitForCommit: waitForCommit) },
            read: Self.broadcastResult)
    }

    /// Calls `user.broadcast` for many transactions in one batch.
    ///
    /// - Returns: the indices of the refused ones, in order, with the reasons.
    public func broadcast(
        _ transactions: [Transaction]
    ) async throws(Failure) -> [(index: Int, failure: JSONRPC.Failure)] {
        let results = try await batch(
            .userBroadcast, count: transactions.count,
            { $1.broadcast(transactions[$0], waitForCommit: false) }, read: Self.broadcastResult)
        return results.enumerated().compactMap { index, result in
            if case .failure(let failure) = result { (index, failure) } else { nil }
        }
    }

    private static func broadcastResult(
        _ members: inout JSONMembers
    ) throws -> (id: Hash, result: TransactionResult?) {
        (try members.value("tx_hash").hash(), try members.optional("result").map(TransactionJSON.result))
    }

    /// Calls `user.query`.
    public func query(
        _ sql: String, _ parameters: [RawStatement.Parameter] = []
    ) async throws(Failure) -> Rows {
        try await call(
            .query(sql, parameters),
            read: { members in
                let columns = try members.value("column_names").array().map { try $0.string() }
                var types = try CellTypes(&members)
                let rows = try members.value("values").array().enumerated().map { row, cells in
                    try cells.array().enumerated().map { column, cell in
                        try ValueJSON.cell(cell, types.type(row, column))
                    }
                }
                return Rows(columns: columns, rows: rows)
            })
    }

    /// Calls `user.tx_query`. Returns the transaction with its height, which is -1 while unconfirmed, and its result.
    public func transaction(
        _ id: Hash
    ) async throws(Failure) -> (transaction: Transaction, height: Int64, result: TransactionResult?) {
        try await call(
            .transaction(id),
            read: { members in
                (
                    try TransactionJSON.read(try members.value("tx")),
                    try members.value("height").integer(),
                    try members.optional("tx_result").map(TransactionJSON.result)
                )
            })
    }

    /// Calls `user.account`. Returns the balance and the nonce of the account's latest transaction, which may be
    /// unconfirmed if `isPending`.
    public func account(_ id: AccountID, isPending: Bool = false) async throws(Failure) -> (
        nonce: UInt64, balance: String
    ) {
        try await call(
            .userAccount,
            {
                $0.object {
                    $0.object("id") {
                        $0.member("identifier", hex: id.identifier)
                        $0.member("key_type", text: id.keyType.name)
                    }
                    if isPending { $0.member("status", integer: 1) }
                }
            },
            read: { members in
                (try members.value("nonce").integer(), try members.value("balance").string())
            })
    }

    /// Calls `user.chain_info`. Returns the chain ID.
    public func chainID() async throws(Failure) -> String {
        try await call(.userChainInfo, read: { try $0.value("chain_id").string() })
    }

    /// Calls `chain.validators`. Returns the latest committed height, and the node ID and power of each validator that
    /// votes on the next block.
    public func validators() async throws(Failure) -> (height: Int64, [(nodeID: String, power: Int64)]) {
        try await call(
            .validators,
            read: { members in
                let validators = try members.value("validators").array().map { value in
                    var inner = try value.members()
                    let identifier = try inner.value("identifier").string()
                    let type = try inner.value("key_type").string()
                    return ("\(identifier)#\(type)", try inner.value("power").integer(Int64.self))
                }
                return (try members.value("height").integer(), validators)
            })
    }

    /// Calls `apus.validator_requests`.
    public func validatorRequests() async throws(Failure) -> ValidatorRequestsResult {
        try await call(.validatorRequests, read: { try ValidatorRequestsResult(&$0) })
    }

    /// Calls `apus.status`.
    public func status() async throws(Failure) -> NodeStatus {
        try await call(.status, read: { try NodeStatus(&$0) })
    }
}

extension JSONRPC.Failure {
    /// Whether the node's mempool is full, so that a retry may succeed.
    public var isBackPressure: Bool { data?.code == TransactionCode.mempoolFull.rawValue }
}

extension JSONWriter {
    /// Writes the parameters of `user.broadcast`.
    mutating func broadcast(_ transaction: Transaction, waitForCommit: Bool) {
        object {
            $0.name("tx")
            $0.transaction(transaction)
            $0.member("sync", integer: waitForCommit ? 1 : 0)
        }
    }
}

/// The types of a query's cells: the column's, unless `cell_types` has an entry. Must be asked row by row.
private struct CellTypes {
    private let columns: [DataType.Name]
    private let others: [(row: Int, column: Int, type: DataType.Name)]
    private var next = 0

    init(_ members: inout JSONMembers) throws {
        columns = try members.value("column_types").array().map { type in
            var type = try type.members()
            return try Self.name(&type, "name")
        }
        others =
            try members.optional("cell_types")?.array().map { entry in
                var entry = try entry.members()
                return (
                    try entry.value("row").integer(), try entry.value("column").integer(),
                    try Self.name(&entry, "type")
                )
            } ?? []
    }

    private static func name(
        _ members: inout JSONMembers, _ key: StaticString
    ) throws(JSONError) -> DataType.Name {
        DataType.Name(rawValue: try members.value(key).string()) ?? .text
    }

    mutating func type(_ row: Int, _ column: Int) -> DataType.Name {
        if next < others.count, others[next].row == row, others[next].column == column {
            defer { next += 1 }
            return others[next].type
        }
        return column < columns.count ? columns[column] : .text
    }
}
