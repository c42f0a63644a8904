import Chain

/// A block that has been executed and awaits `commit` or `rollback`.
struct PreparedBlock {
    /// The block's height.
    let height: Int64
    /// The result of its execution.
    let result: ExecutionResult
    /// The pending validator requests after the block.
    let requests: ValidatorRequests

    /// The tip once the block is committed.
    var tip: ApplicationTip { ApplicationTip(height: height, appHash: result.appHash) }
}

extension ApplicationTip {
    /// Throws unless a block follows this one.
    func check(_ block: Block) throws(ExecutionError) {
        guard block.height == height &+ 1 else {
            throw .outOfOrder("block \(block.height) does not follow height \(height)")
        }
    }
}

extension ExecutionResult.ChangedAccount {
    /// The account after the block.
    var account: Account { Account(balance: balance, nonce: nonce) }
}
