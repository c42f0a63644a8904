import Foundation
import Node

/// `user.version` and `chain.version`.
struct VersionResult: Codable, Sendable {
    var service: String
    var apiVer: String
    var major: UInt32
    var minor: UInt32
    var patch: UInt32
    var kwilVer: String

    init(service: String) {
        self.service = service
        (major, minor, patch) = (NodeVersion.major, NodeVersion.minor, NodeVersion.patch)
        apiVer = NodeVersion.text
        kwilVer = NodeVersion.agent
    }
}

/// `user.chain_info`.
struct ChainInfoResult: Codable, Sendable {
    var chainId: String
    var blockHeight: Int64
    var blockHash: HashJSON
    /// Whether transactions cost gas.
    var gas: Bool
}

/// `user.health`.
struct HealthResult: Codable, Sendable {
    var chainId: String
    var blockHeight: Int64
    var blockHash: HashJSON
    var gas: Bool
    var healthy: Bool
    var version: String
    /// Milliseconds since 1970 of the latest block.
    var blockTime: UInt64
    /// Milliseconds since then.
    var blockAge: Int64
    var syncing: Bool
    var height: Int64
    var appHash: HashJSON
    var peerCount: Int
    var mode: String
}

/// `chain.health`.
struct ChainHealthResult: Codable, Sendable {
    var chainId: String
    var height: Int64
    var healthy: Bool
}

/// `user.broadcast`.
struct BroadcastResult: Codable, Sendable {
    var txHash: HashJSON
    var result: TransactionResultJSON?
}

/// `user.tx_query`.
struct TransactionQueryResult: Codable, Sendable {
    var txHash: HashJSON
    /// -1 while unconfirmed.
    var height: Int64
    var tx: TransactionJSON
    var txResult: TransactionResultJSON?
}

/// `user.query`.
struct QueryResultJSON: Codable, Sendable {
    var columnNames: [String]
    var columnTypes: [EncodedValueJSON.DataTypeJSON]
    var values: [[CellJSON]]
}

/// `user.account`.
struct AccountResult: Codable, Sendable {
    var id: AccountIDJSON?
    var balance: String
    var nonce: UInt64
}

/// `chain.block`.
struct BlockResult: Codable, Sendable {
    var hash: HashJSON
    var block: BlockJSON?
    var rawBlock: Data?
    var commitInfo: CommitInfoJSON
}

/// `chain.block_result`.
struct BlockResultsResult: Codable, Sendable {
    var height: Int64
    var hash: HashJSON
    var txResults: [TransactionResultJSON]
}

/// `chain.tx`.
struct TransactionLookupResult: Codable, Sendable {
    var hash: HashJSON
    var height: Int64
    var index: UInt32
    var tx: TransactionJSON
    var txResult: TransactionResultJSON?
}

/// `apus.status`.
public struct StatusResult: Codable, Sendable {
    /// Of the software, `major.minor.patch`.
    public var version: String
    /// The network.
    public var chainId: String
    /// `<public key hex>#<key type>`.
    public var nodeId: String
    /// libp2p's, in base58.
    public var peerId: String
    /// leader, validator or sentry.
    public var role: String
    /// Of the latest committed block, 0 before the first.
    public var height: Int64
    /// Of the latest committed block.
    public var blockHash: String
    /// After the latest committed block.
    public var appHash: String
    /// Whether the node is behind.
    public var syncing: Bool
    /// Connected peers.
    public var peers: Int
    /// Unconfirmed transactions.
    public var mempoolTransactions: Int
    /// Their bytes.
    public var mempoolBytes: Int
    /// Whether the node keeps no mempool.
    public var blocksOnly: Bool
    /// Transactions committed since the first block.
    public var transactions: UInt64
    /// The reactor's driver.
    public var reactor: String
    /// Multiaddrs listened on.
    public var listen: [String]

    init(_ status: NodeStatus, chainID: String) {
        version = NodeVersion.text
        chainId = chainID
        nodeId = status.nodeID
        peerId = status.peerID
        role = status.role.rawValue
        height = status.height
        blockHash = status.blockHash.description
        appHash = status.appHash.description
        syncing = status.isSyncing
        peers = status.peerCount
        mempoolTransactions = status.mempoolCount
        mempoolBytes = status.mempoolSize
        blocksOnly = status.isBlocksOnly
        transactions = status.transactionCount
        reactor = status.reactor
        listen = status.listenAddresses
    }
}
