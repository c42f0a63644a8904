import Chain

/// A block that has been executed and awaits `commit` or `rollback`.
struct PreparedBlock {
    /// The tip once the block is committed.
    let tip: ApplicationTip
    /// The accounts that the block changed, ordered by ID.
    let accounts: [(id: AccountID, account: Account)]
    /// The pending validator requests after the block.
    let requests: ValidatorRequests
}
