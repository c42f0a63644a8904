import Crypto
import LibP2P
import Peers
import Protocols
import Reactor

/// A limited resource that clients and peers can make a node hold.
package struct Holding: Sendable {
    /// Its name and unit.
    package let name: String
    /// The amount held now; for jobs of a worker, the maximum so far.
    package let amount: Int
    /// The maximum amount.
    package let limit: Int
}

/// What must be freed once a node has ended and is no longer referenced.
package struct NodeRemains {
    private weak var host: Host?
    /// Every service holds it.
    private weak var chain: ChainReader?

    fileprivate init(_ context: NodeContext) {
        host = context.host
        chain = context.chain
    }

    /// The parts that are still in memory.
    package var left: [String] {
        [host.map { _ in "host" }, chain.map { _ in "services" }].compactMap { $0 }
    }
}

extension Node {
    /// What must be freed after the node's end.
    package var remains: NodeRemains { NodeRemains(context) }

    /// What this node recorded of a block that it keeps.
    package func trace(of block: Hash) -> BlockTrace? { context.traces.blocks.block(block) }

    /// The resources that clients and peers can make this node hold.
    package var holdings: [Holding] {
        let (host, limits) = (context.host, context.configuration)
        var all = [
            Holding(name: "mempool bytes", amount: mempool.contents.bytes, limit: limits.mempool.maxSize),
            Holding(
                name: "mempool transactions", amount: mempool.contents.count,
                limit: limits.mempool.maxTransactions),
            Holding(
                name: "mempool events", amount: mempool.driver.peakDepth, limit: mempool.driver.capacity),
            Holding(
                name: "announcements of transactions", amount: mempool.waitingAnnouncements.count,
                limit: mempool.waitingAnnouncements.limit),
            Holding(
                name: "transactions told to one peer", amount: mempool.spreadingTransactions.count,
                limit: mempool.spreadingTransactions.limit),
            Holding(
                name: "consensus events", amount: consensus.driver.peakDepth, limit: consensus.driver.capacity
            ),
            Holding(
                name: "peers", amount: host.connectedPeers.count,
                limit: limits.p2p.maxConnections + PeerService.visitors),
            Holding(name: "connections", amount: host.use.connections, limit: host.use.limits.connections),
            Holding(name: "bytes held for peers", amount: host.use.held, limit: host.use.limits.bytes),
            Holding(
                name: "answers in check", amount: consensus.answersInCheck.count,
                limit: AnswersInCheck.capacity),
            Holding(
                name: "arriving blocks", amount: consensus.arrivingBlocks.count,
                limit: ArrivingBlocks.capacity),
            Holding(
                name: "requests for shares", amount: consensus.arrivingBlocks.requestCount,
                limit: ArrivingBlocks.requests),
            Holding(
                name: "announced blocks under way", amount: consensus.fetches.count,
                limit: BlockSources.fetches),
            Holding(
                name: "announced blocks noted", amount: consensus.holders.count, limit: BlockHolders.places),
            Holding(
                name: "peers to catch up from", amount: sync.peerCount,
                limit: limits.p2p.maxConnections + PeerService.visitors),
            Holding(
                name: "recent blocks", amount: context.chain.held.count, limit: ChainReader.recentCount),
            Holding(
                name: "blocks traced", amount: context.traces.blocks.count, limit: BlockTraces.capacity),
            Holding(
                name: "transactions traced", amount: context.traces.transactions.count,
                limit: TransactionTraces.capacity),
            Holding(name: "catch-up bytes", amount: sync.bytes.held, limit: sync.bytes.limit),
            Holding(name: "catch-up blocks to verify", amount: sync.waiting.count, limit: sync.waiting.limit),
            Holding(
                name: "transactions waited for", amount: commitWaiters.transactions,
                limit: CommitWaiters.limit),
        ]
        let workers = [
            ("execution", context.execution), ("storage", context.storage),
            ("index", context.indexing), ("check", context.checks),
            ("serving", context.serving), ("block", context.blocks), ("account", context.accounts),
        ]
        for (name, worker) in workers {
            all.append(Holding(name: "\(name) jobs", amount: worker.peakDepth, limit: worker.capacity))
        }
        let queries = context.queries.peakWaiting
        all.append(Holding(name: "queries waiting", amount: queries.count, limit: queries.limit))
        return all
    }
}
