/// What can go wrong by chance.
public enum FaultKind: String, Sendable, CaseIterable {
    /// A node's machine loses power: what was not synchronized is lost in part.
    case powerFailure
    /// A node's machine loses power in the middle of an operation of its disk.
    case powerFailureOnDisk
    /// A node's process is killed.
    case kill
    /// A node is stopped and started by its operator.
    case restart
    /// A sentry, or one validator at a time, loses its disk.
    case wipe
    /// The network falls into two parts.
    case partition
    /// Some directions between hosts are cut.
    case cut
    /// A host's links become slow, narrow and lossy.
    case degrade
    /// A node's connections are reset.
    case reset
    /// A host reads slowly.
    case slowReader
    /// A node's clock jumps.
    case clockJump
    /// A node's disk is full for a while.
    case fullDisk
    /// A node's disk fails to write or to synchronize once.
    case diskError
    /// A node's disk is slow for a while.
    case slowDisk
    /// A node executes slowly for a while.
    case slowExecution
    /// A node's mempool answers slowly for a while.
    case slowMempool
    /// A node's consensus answers slowly for a while.
    case slowConsensus
    /// A node can execute and commit nothing for a while.
    case executionError
    /// A bit of a node's files flips.
    case bitFlip
    /// A node's clock is minutes ahead or behind for a while.
    case clockAway
}
