import Chain
import Mempool
import Multiformats

extension Configuration {
    /// The section of `docs/configuration.md` on limits that no key sets.
    static var limits: String {
        let rows: [(String, String, String)] = [
            (
                "transaction", "`max_block_size` of the genesis, and \(ChainLimits.transactionBytes) bytes",
                "applies to the mempool, JSON-RPC, peers and commands alike"
            ),
            (
                "`max_block_size`", "\(ChainLimits.largestMaxBlockSize) bytes",
                "total size of a block's transactions; \(ChainLimits.defaultMaxBlockSize) by default. A genesis with more is refused"
            ),
            (
                "`chain_id`", "\(ChainLimits.genesisChainIDBytes) bytes",
                "a longer one would not fit into a protocol ID and is refused"
            ),
            ("genesis file", "\(ChainLimits.genesisBytes) bytes", ""),
            ("commit info of a block", "\(ChainLimits.commitInfoBytes) bytes", "about 100,000 votes"),
            (
                "open files", "`ulimit -n`, `LimitNOFILE=`",
                "the node raises the soft limit to the hard one; it needs one per peer and client, and about 100 more"
            ),
        ]
        var out = """

            ## Limits

            No key sets these limits. Others are in [execution.md](execution.md) (SQL statements; `apus config --limits`),
            [wire.md](wire.md), section 10 (JSON-RPC and HTTP), and [peers.md](peers.md) (peers).

            | what | maximum | |
            | --- | --- | --- |

            """
        for (what, limit, note) in rows { out += "| \(what) | \(limit) | \(note) |\n" }
        return out
    }
}
