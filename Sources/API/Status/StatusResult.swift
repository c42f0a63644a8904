import JSON
import Node

/// The result of `apus.status`.
public struct StatusResult: Sendable {
    /// The software's version, `major.minor.patch`.
    public var version: String
    /// The chain ID.
    public var chainId: String
    /// The node ID, `<public key hex>#<key type>`.
    public var nodeId: String
    /// The libp2p peer ID in base58.
    public var peerId: String
    /// `leader`, `validator` or `sentry`.
    public var role: String
    /// The height of the latest committed block; 0 before the first.
    public var height: Int64
    /// The hash of the latest committed block.
    public var blockHash: String
    /// The app hash after the latest committed block.
    public var appHash: String
    /// Whether the node is behind.
    public var syncing: Bool
    /// Why the node's view of the chain may be wrong or outdated; nil if nothing suggests that.
    public var trouble: String?
    /// Why the node's or the leader's clock may be wrong; nil if nothing suggests that.
    public var clock: String?
    /// The number of connected peers.
    public var peers: Int
    /// The number of unconfirmed transactions.
    public var mempoolTransactions: Int
    /// The size of the unconfirmed transactions, in bytes.
    public var mempoolBytes: Int
    /// Whether the node keeps no mempool.
    public var blocksOnly: Bool
    /// The number of transactions committed since the first block.
    public var transactions: UInt64
    /// The reactor's driver.
    public var reactor: String
    /// The multiaddrs that the node listens on.
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
        trouble = status.trouble
        clock = status.clockDoubt
        peers = status.peerCount
        mempoolTransactions = status.mempoolCount
        mempoolBytes = status.mempoolSize
        blocksOnly = status.isBlocksOnly
        transactions = status.transactionCount
        reactor = status.reactor
        listen = status.listenAddresses
    }

    init(_ value: JSONValue) throws(JSONError) {
        var members = try value.members()
        version = try members.value("version").string()
        chainId = try members.value("chain_id").string()
        nodeId = try members.value("node_id").string()
        peerId = try members.value("peer_id").string()
        role = try members.value("role").string()
        height = try members.value("height").integer()
        blockHash = try members.value("block_hash").string()
        appHash = try members.value("app_hash").string()
        syncing = try members.value("syncing").flag()
        trouble = try members.optional("trouble")?.string()
        clock = try members.optional("clock")?.string()
        peers = try members.value("peers").integer()
        mempoolTransactions = try members.value("mempool_transactions").integer()
        mempoolBytes = try members.value("mempool_bytes").integer()
        blocksOnly = try members.value("blocks_only").flag()
        transactions = try members.value("transactions").integer()
        reactor = try members.value("reactor").string()
        listen = []
        for address in try members.value("listen").array() { listen.append(try address.string()) }
    }

    func write(to writer: inout JSONWriter) {
        writer.object {
            $0.member("version", text: version)
            $0.member("chain_id", text: chainId)
            $0.member("node_id", text: nodeId)
            $0.member("peer_id", text: peerId)
            $0.member("role", text: role)
            $0.member("height", integer: height)
            $0.member("block_hash", text: blockHash)
            $0.member("app_hash", text: appHash)
            $0.member("syncing", flag: syncing)
            if let trouble { $0.member("trouble", text: trouble) }
            if let clock { $0.member("clock", text: clock) }
            $0.member("peers", integer: peers)
            $0.member("mempool_transactions", integer: mempoolTransactions)
            $0.member("mempool_bytes", integer: mempoolBytes)
            $0.member("blocks_only", flag: blocksOnly)
            $0.member("transactions", integer: transactions)
            $0.member("reactor", text: reactor)
            $0.array("listen") { list in
                for address in listen { list.text(address) }
            }
        }
    }
}
