import Chain
import Mempool
import Multiformats
import Storage

extension Configuration {
    /// The limits that no key sets, for operators: a part of `docs/configuration.md`.
    static var limits: String {
        let mempool = MempoolLimits()
        let rows: [(String, String, String)] = [
            (
                "transaction", "`max_block_size` of the genesis, and \(ChainLimits.transactionBytes) bytes",
                "the same for the mempool, JSON-RPC, peers and commands"
            ),
            (
                "`max_block_size`", "\(ChainLimits.largestMaxBlockSize) bytes",
                "of a block's transactions together; \(ChainLimits.defaultMaxBlockSize) where the genesis names none. More is refused"
            ),
            (
                "`chain_id`", "\(ChainLimits.genesisChainIDBytes) bytes",
                "a longer one does not fit into a protocol ID; refused"
            ),
            ("genesis file", "\(ChainLimits.genesisBytes) bytes", ""),
            ("commit info of a block", "\(ChainLimits.commitInfoBytes) bytes", "some 100,000 votes"),
            ("waiting transactions", "\(mempool.count)", "beside `mempool.max_size`"),
            (
                "waiting transactions of one sender", "\(mempool.perSender)",
                "and the highest nonce ahead of the account's"
            ),
            (
                "time that a transaction waits", DurationText.format(mempool.lifetime),
                "until it is dropped unmined"
            ),
            (
                "address space of the block index", "\(BlockStore.indexAddressSpace >> 30) GiB",
                "reserved, not used: `ulimit -v` and `LimitAS=` must be unlimited; bound memory by `MemoryMax=`"
            ),
            (
                "open files", "`ulimit -n`, `LimitNOFILE=`",
                "the node raises the soft limit to the hard one: one for each peer and client, and about 100 besides"
            ),
        ]
        var out = """

            ## Limits

            What no key sets. What SQL statements cost and may cost is in [execution.md](execution.md) (`apus config --limits`),
            what JSON-RPC and HTTP take in [wire.md](wire.md), section 10, what peers may do in [peers.md](peers.md).

            | what | at most | |
            | --- | --- | --- |

            """
        for (what, limit, note) in rows { out += "| \(what) | \(limit) | \(note) |\n" }
        return out
    }
}
