import Foundation

/// `user.ping`, both ways.
struct PingJSON: Codable, Sendable {
    var message: String
}

/// `user.broadcast`.
struct BroadcastParameters: Codable, Sendable {
    var tx: TransactionJSON
    /// 0: return when the transaction is accepted; 1: when it is committed.
    var sync: Int?
}

/// `user.tx_query`.
struct TransactionQueryParameters: Codable, Sendable {
    var txHash: HashJSON
}

/// `user.query`.
struct QueryParameters: Codable, Sendable {
    var query: String
    var params: [String: EncodedValueJSON]?
}

/// `user.account`.
struct AccountParameters: Codable, Sendable {
    var id: AccountIDJSON
}

/// `chain.block`, `chain.block_header` and `chain.block_result`: a hash, or a height where the hash is left out or
/// zero; height 0 or none at all means the latest.
struct BlockParameters: Codable, Sendable {
    var height: Int64?
    var hash: HashJSON?
    var raw: Bool?
}

/// `chain.tx`.
struct TransactionParameters: Codable, Sendable {
    var hash: HashJSON
}

/// `chain.unconfirmed_txs`.
struct UnconfirmedParameters: Codable, Sendable {
    /// Transactions to return at most.
    var limit: Int?
}

/// An account's identifier in hexadecimal and the type of its key.
struct AccountIDJSON: Codable, Sendable {
    var identifier: String
    var keyType: String
}
