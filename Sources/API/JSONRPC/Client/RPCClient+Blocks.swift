import Bytes
import Chain
import Crypto

extension RPCClient {
    /// Calls `chain.block`. Returns the IDs of the transactions of the block at `height`, in order; nil if the node has not
    /// committed it.
    public func transactions(at height: Int64) async throws(Failure) -> [Hash]? {
        try await ifCommitted { () async throws(Failure) in
            try await call(
                .chainBlock,
                {
                    $0.object {
                        $0.member("height", integer: height)
                        $0.member("raw", flag: true)
                    }
                },
                read: { members in
                    let bytes = SharedBytes(try members.value("raw_block").base64())
                    return try Block(decoding: bytes).transactions.map { Hash.sha256(of: $0) }
                })
        }
    }

    /// Calls `chain.block_result`. Returns the results of the transactions of the block at `height`, in order; nil if the
    /// node has not committed it.
    public func results(at height: Int64) async throws(Failure) -> [TransactionResult]? {
        try await ifCommitted { () async throws(Failure) in
            try await call(
                .chainBlockResult, { $0.object { $0.member("height", integer: height) } },
                read: { try $0.value("tx_results").array().map { try TransactionJSON.result($0) } })
        }
    }

    private func ifCommitted<Value>(
        _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value? {
        do {
            return try await body()
        } catch .server(let failure) where failure.code == JSONRPC.Code.blockNotFound.rawValue {
            return nil
        }
    }
}
