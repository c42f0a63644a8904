import Chain
import Crypto
import Multiformats

extension RPCClient {
    /// A transaction of a batch that was refused.
    public struct Refusal: Sendable {
        /// Its place in the batch.
        public let index: Int
        /// Why.
        public let failure: JSONRPC.Failure
    }

    /// What a query returned, with text, whole numbers, truth values and nulls as JSON keeps them.
    public struct Rows: Sendable {
        /// In the order of the statement.
        public let columns: [String]
        /// A value a column.
        public let rows: [[Value]]
    }

    /// `user.broadcast`.
    ///
    /// - Returns: the transaction ID and, if the commit was waited for, the result.
    public func broadcast(
        _ transaction: Transaction, waitForCommit: Bool = false
    ) async throws(Failure) -> (id: Hash, result: TransactionResult?) {
        let parameters = BroadcastParameters(
            tx: TransactionJSON(transaction), sync: waitForCommit ? 1 : 0)
        let result: BroadcastResult = try await call(RPCMethod.userBroadcast.rawValue, parameters)
        return (result.txHash.hash, result.result?.result)
    }

    /// `user.broadcast` for many transactions in one batch.
    ///
    /// - Returns: those that were refused, in order.
    public func broadcast(_ transactions: [Transaction]) async throws(Failure) -> [Refusal] {
        let parameters = transactions.map { BroadcastParameters(tx: TransactionJSON($0), sync: 0) }
        let results: [Result<BroadcastResult, JSONRPC.Failure>] = try await batch(
            RPCMethod.userBroadcast.rawValue, parameters)
        return results.enumerated().compactMap { index, result in
            if case .failure(let failure) = result { Refusal(index: index, failure: failure) } else { nil }
        }
    }

    /// `user.query`.
    public func query(_ sql: String, _ parameters: [String: Value] = [:]) async throws(Failure) -> Rows {
        let result: QueryResultJSON = try await call(
            RPCMethod.userQuery.rawValue,
            QueryParameters(query: sql, params: parameters.mapValues(EncodedValueJSON.init)))
        return Rows(columns: result.columnNames, rows: result.values.map { $0.map(\.value) })
    }

    /// `user.tx_query`: the transaction with its height, -1 while unconfirmed, and its result.
    public func transaction(
        _ id: Hash
    ) async throws(Failure) -> (transaction: Transaction, height: Int64, result: TransactionResult?) {
        let result: TransactionQueryResult = try await call(
            RPCMethod.userTransactionQuery.rawValue, TransactionQueryParameters(txHash: HashJSON(id)))
        do {
            return (try result.tx.transaction(), result.height, result.txResult?.result)
        } catch {
            throw .server(error)
        }
    }

    /// `user.account`: the nonce of the account's last transaction, and its balance.
    public func account(_ id: AccountID) async throws(Failure) -> (nonce: UInt64, balance: String) {
        let result: AccountResult = try await call(
            RPCMethod.userAccount.rawValue,
            AccountParameters(
                id: AccountIDJSON(identifier: Hex.encode(id.identifier), keyType: id.keyType.name)))
        return (result.nonce, result.balance)
    }

    /// `user.chain_info`.
    public func chainID() async throws(Failure) -> String {
        let result: ChainInfoResult = try await call(RPCMethod.userChainInfo.rawValue, NoParameters())
        return result.chainId
    }

    /// `chain.validators`: the latest committed height, and who votes on the next block, as node ID and power.
    public func validators() async throws(Failure) -> (height: Int64, [(nodeID: String, power: Int64)]) {
        let result: ValidatorsResult = try await call(RPCMethod.chainValidators.rawValue, NoParameters())
        return (result.height, result.validators.map { ("\($0.identifier)#\($0.keyType)", $0.power) })
    }

    /// `apus.validator_requests`.
    public func validatorRequests() async throws(Failure) -> ValidatorRequestsResult {
        try await call(RPCMethod.apusValidatorRequests.rawValue, NoParameters())
    }

    /// `apus.status`.
    public func status() async throws(Failure) -> StatusResult {
        try await call(RPCMethod.apusStatus.rawValue, NoParameters())
    }
}

extension JSONRPC.Failure {
    /// Whether the node's mempool is full, so that the transaction may be sent again later.
    public var isBackPressure: Bool { data?.code == TransactionCode.mempoolFull.rawValue }
}

extension TransactionResultJSON {
    var result: TransactionResult { TransactionResult(code: code, gas: gas, log: log ?? "") }
}

private struct NoParameters: Encodable, Sendable {}
