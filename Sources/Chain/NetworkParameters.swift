import Bytes
import Crypto

/// What all nodes of a chain agree on and blocks may change (docs/wire.md, section 4).
public struct NetworkParameters: Hashable, Sendable {
    /// Who makes the blocks.
    public var leader: PublicKey?
    /// Bytes of a block's transactions together.
    public var maxBlockSize: Int64 = ChainLimits.defaultMaxBlockSize
    /// Nanoseconds after which a request to join is void.
    public var joinExpiry: Int64 = ChainLimits.defaultJoinExpiry
    /// Whether transactions are free.
    public var disabledGasCosts = true
    /// Votes that one transaction may carry.
    public var maxVotesPerTransaction: Int64 = ChainLimits.defaultMaxVotesPerTransaction
    /// `NoActiveMigration` unless the chain is being moved.
    public var migrationStatus = Self.noActiveMigration
    /// The height from which modular agent addresses act; 0 for never.
    public var maaActivationHeight: Int64 = 0

    /// The migration status of a chain that is not being moved.
    public static let noActiveMigration = "NoActiveMigration"
    /// The migration statuses in which validators do not change.
    public static let activeMigrations = ["MigrationInProgress", "MigrationCompleted"]

    /// The defaults, with this leader.
    public init(leader: PublicKey?) { self.leader = leader }

    /// Bytes that a transaction may have: the one rule for the mempool, JSON-RPC, stream protocols and commands. A block
    /// holds `maxBlockSize` bytes of transactions, its header and their lengths not counted; no reader takes more than
    /// `ChainLimits.transactionBytes`.
    public var transactionLimit: Int { min(Int(clamping: maxBlockSize), ChainLimits.transactionBytes) }

    /// SHA-256 over the parameters as docs/wire.md, section 4, orders them.
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

    /// Takes a block's updates over; refuses those with which no further block could be made.
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
