import Crypto
import JSON

/// What a node recorded of the stages of blocks and transactions.
extension RPCClient {
    /// Calls `apus.clock`. Returns the time by the clock of the node's loop.
    public func clock() async throws(Failure) -> Duration {
        try await call(
            .apusClock, read: { .nanoseconds(try $0.value("clock_ns").integer(Int64.self)) })
    }

    /// Calls `apus.block_trace`. Returns the blocks of a height that the node keeps.
    public func blockTraces(at height: Int64) async throws(Failure) -> BlockTracesResult {
        try await call(
            .apusBlockTrace, { $0.object { $0.member("height", integer: height) } },
            read: { try BlockTracesResult(&$0) })
    }

    /// Calls `apus.slowest_blocks`. Returns the blocks that took longest, slowest first.
    public func slowestBlocks(_ count: Int) async throws(Failure) -> BlockTracesResult {
        try await call(
            .apusSlowestBlocks, { $0.object { $0.member("count", integer: count) } },
            read: { try BlockTracesResult(&$0) })
    }

    /// Calls `apus.tx_trace`.
    public func transactionTrace(_ id: Hash) async throws(Failure) -> TransactionTraceResult {
        try await call(
            .apusTransactionTrace, { $0.object { $0.member("tx_hash", hex: id) } },
            read: { try TransactionTraceResult(&$0) })
    }

    /// Calls `apus.stage_histograms`.
    public func stageHistograms() async throws(Failure) -> StageHistogramsResult {
        try await call(.apusStageHistograms, read: { try StageHistogramsResult(&$0) })
    }
}
