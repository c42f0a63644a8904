/// The faults that `FaultInjector` injects.
public enum FaultKind: String, Sendable, CaseIterable {
    /// A node's machine loses power: unsynchronized writes are lost in part.
    case powerFailure
    /// A node's machine loses power during a disk operation.
    case powerFailureOnDisk
    /// A node's process is killed.
    case kill
    /// A node's operator restarts it.
    case restart
    /// A sentry, or one validator at a time, loses its disk.
    case wipe
    /// The network splits into two parts.
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
    /// A node cannot execute or commit for a while.
    case executionError
    /// A bit in a node's files flips.
    case bitFlip
    /// A node's clock is minutes ahead or behind for a while.
    case clockAway
    /// A node is killed, and the file that its start continues from is lost, torn, changed, or replaced by an earlier one
    /// or by one of another chain.
    case stateFile
}
