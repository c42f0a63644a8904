import Bytes
import Crypto

/// Parameters that all nodes of a chain agree on and blocks may change (docs/wire.md, section 4).
public struct NetworkParameters: Hashable, Sendable {
    /// The leader.
    public var leader: PublicKey?
    /// The maximum total size of a block's transactions, in bytes.
    public var maxBlockSize: Int64 = ChainLimits.defaultMaxBlockSize
    /// The time after which a request to join expires, in nanoseconds.
    public var joinExpiry: Int64 = ChainLimits.defaultJoinExpiry
    /// Whether transactions are free.
    public var disabledGasCosts = true
    /// The maximum number of votes in a transaction.
    public var maxVotesPerTransaction: Int64 = ChainLimits.defaultMaxVotesPerTransaction
    /// `NoActiveMigration` unless the chain is being migrated.
    public var migrationStatus = Self.noActiveMigration
    /// The height from which modular agent addresses are active; 0 for never.
    public var maaActivationHeight: Int64 = 0

    /// The status of a chain that is not being migrated.
    public static let noActiveMigration = "NoActiveMigration"
    /// The statuses in which validators do not change.
    public static let activeMigrations = ["MigrationInProgress", "MigrationCompleted"]

    /// Creates the default parameters with this leader.
    public init(leader: PublicKey?) { self.leader = leader }

    /// The maximum size of a transaction, in bytes: the single rule for the mempool, JSON-RPC, stream
    /// protocols and commands. A block holds `maxBlockSize` bytes of transactions, excluding its header and
    /// their lengths; no reader accepts more than `ChainLimits.transactionBytes`.
    public var transactionLimit: Int { min(Int(clamping: maxBlockSize), ChainLimits.transactionBytes) }

    /// The SHA-256 of the parameters, in the order of docs/wire.md, section 4.
    public var hash: Hash {
        var writer = ByteWriter()
        if let leader {
            writer.put(bytes: leader.bytes)
        } else {
            writer.put(u8: 0)
        }
        writer.put(i64: maxBlockSize)
        writer.put(i64: joinExpiry)
        writer.put(u8: disabledGasCosts ? 1 : 0)
        writer.put(i64: maxVotesPerTransaction)
        writer.put(text: migrationStatus)
        if maaActivationHeight != 0 {
            writer.put(text: "maa_activation_height")
            writer.put(i64: maaActivationHeight)
        }
        return Hash.sha256(of: writer.bytes)
    }

    /// Applies a block's updates. Throws, changing nothing, if they would make a further block impossible.
    public mutating func apply(_ updates: ParameterUpdates) throws(ChainError) {
        if updates.isEmpty { return }
        var result = self
        if let leader = updates.leader { result.leader = leader }
        result.maxBlockSize = updates.maxBlockSize ?? maxBlockSize
        result.joinExpiry = updates.joinExpiry ?? joinExpiry
        result.disabledGasCosts = updates.disabledGasCosts ?? disabledGasCosts
        result.maxVotesPerTransaction = updates.maxVotesPerTransaction ?? maxVotesPerTransaction
        result.migrationStatus = updates.migrationStatus ?? migrationStatus
        result.maaActivationHeight = updates.maaActivationHeight ?? maaActivationHeight
        guard result.maxBlockSize > 0 else { throw .invalidUpdate("max_block_size must be at least 1") }
        guard result.maxBlockSize <= ChainLimits.largestMaxBlockSize else {
            throw .invalidUpdate("max_block_size exceeds \(ChainLimits.largestMaxBlockSize)")
        }
        self = result
    }
}
