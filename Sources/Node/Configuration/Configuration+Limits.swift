import Chain
import Mempool
import Multiformats

extension Configuration {
    /// The section of `docs/configuration.md` on limits that no key sets.
    static var limits: String {
        let mempool = MempoolLimits()
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
            ("waiting transactions", "\(mempool.count)", "in addition to `mempool.max_size`"),
            (
                "waiting transactions of one sender", "\(mempool.perSender)",
                "also how far a nonce may be ahead of the account's"
            ),
            (
                "time that a transaction waits", DurationText.format(mempool.lifetime),
                "after which it is dropped"
            ),
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
