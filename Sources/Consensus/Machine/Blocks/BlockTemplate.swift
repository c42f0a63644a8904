import Chain
import Crypto

/// The properties of the leader's next block besides its transactions and timestamp.
public struct BlockTemplate: Sendable {
    /// The chain that the block extends.
    public let state: ChainState
    /// The newest stamp used at this height, in ms.
    public let after: Int64
    /// The maximum number of transactions, reduced while the leader looks for one that makes blocks fail.
    public let transactionLimit: Int
    /// The leader that the header must name, if this node begins to lead by promotion.
    public let newLeader: PublicKey?
    /// Whether a block without transactions is due.
    public let mayBeEmpty: Bool

    /// Returns the time for the header of a block built when the clock shows `wallClock`, in ms since 1970. It is
    /// later than the previous block's time and newer than the last stamp, unless a clock that was ahead has used up
    /// all stamps that a block's time may have.
    public func timestamp(at wallClock: UInt64) -> UInt64 {
        let earliest = max(wallClock, BlockValidation.adding(state.timestamp, 1))
        let ordered = max(earliest, BlockValidation.adding(UInt64(clamping: after), 1))
        let latest = BlockValidation.latestTimestamp(
            after: state, wallClock: wallClock, skew: BlockValidation.allowedClockSkew / 2)
        return ordered <= latest ? ordered : earliest
    }
}
