import Chain
import Execution
import LibP2P
import Mempool
import Metrics
import Reactor

/// The metrics of a node besides those of its host: its chain, blocks, transactions, votes, peers and queues
/// (docs/operate/metrics.md). `Node.observe` sets those that show a state.
struct NodeMetrics: Sendable {
    let registry: MetricsRegistry
    let host: HostMetrics

    // Counted where it happens.
    let blocks: Counter
    let transactions: MetricTable<TransactionOutcome, Counter>
    let executions: Histogram
    let applicationCommits: Histogram
    let duplicates: MetricTable<DuplicateKind, Counter>
    let accepted: Counter
    let refused: MetricTable<MempoolRefusal, Counter>
    let dropped: MetricTable<Loss.Reason, Counter>
    let votesSent: MetricTable<VoteAnswer, Counter>
    let votesReceived: MetricTable<VoteAnswer, Counter>
    let bans: Counter
    let queries: MetricTable<QueryLength, Counter>

    // Set when the metrics are written.
    let height: Gauge
    let tipAge: Gauge
    let isSyncing: Gauge
    let isReady: Gauge
    let roles: MetricTable<RoleName, Gauge>
    let validators: Gauge
    let peers: MetricTable<Direction, MetricTable<RoleName, Gauge>>
    let connections: MetricTable<Direction, Gauge>
    let bytesHeld: Gauge
    let mempoolTransactions: Gauge
    let mempoolBytes: Gauge
    let machineEvents: MetricTable<MachineName, Gauge>
    let machinePeaks: MetricTable<MachineName, Gauge>
    let commitWaits: Gauge
    let gossipMessages: MetricTable<GossipOutcome, Counter>

    init(_ registry: MetricsRegistry) {
        self.registry = registry
        host = HostMetrics(registry)
        blocks = registry.counter("apus_blocks_committed_total", "Blocks committed since the start.")
        transactions = registry.counters(
            "apus_transactions_committed_total",
            "Transactions in blocks committed since the start, by result.",
            by: "result")
        executions = registry.histogram(
            "apus_block_execution_seconds", "Time to execute a block.")
        applicationCommits = registry.histogram(
            "apus_application_commit_seconds",
            "Time to commit a block's changes to the database.")
        duplicates = registry.counters(
            "apus_duplicates_received_total", "Messages received whose content was known, by kind.",
            by: "kind")
        accepted = registry.counter("apus_mempool_accepted_total", "Transactions that the mempool accepted.")
        refused = registry.counters(
            "apus_mempool_refused_total", "Transactions that the mempool refused, by reason.", by: "reason")
        dropped = registry.counters(
            "apus_mempool_dropped_total",
            "Unconfirmed transactions that the mempool dropped although they might still be mined, by reason.",
            by: "reason")
        votesSent = registry.counters(
            "apus_votes_sent_total", "Answers to proposals that this node sent, by answer.", by: "answer")
        votesReceived = registry.counters(
            "apus_votes_received_total", "Answers to its proposals that this leader received, by answer.",
            by: "answer")
        bans = registry.counter("apus_bans_total", "Bans of peers for misbehaviour.")
        queries = registry.counters(
            "apus_query_runs_total",
            "Queries that have begun in a process, by length; each is tried as a short one first.",
            by: "length")
        height = registry.gauge("apus_height", "Height of the latest committed block.")
        tipAge = registry.gauge(
            "apus_tip_age_seconds", "Age of the latest committed block by its timestamp; 0 before the first.",
            unit: .milliseconds)
        isSyncing = registry.gauge("apus_syncing", "1 while the node catches up, else 0.")
        isReady = registry.gauge(
            "apus_ready",
            "1 if the node is at the tip as far as it can tell, else 0; /ready answers the same.")
        roles = registry.gauges("apus_role", "1 for the node's present role, 0 for the others.", by: "role")
        validators = registry.gauge("apus_validators", "Validators of the next block.")
        peers = registry.gauges(
            "apus_peers", "Connected peers of this chain, by who dialled and the peer's role.",
            by: "direction", "role")
        connections = registry.gauges(
            "apus_connections", "Connections with peers, handshakes included, by who dialled.",
            by: "direction")
        bytesHeld = registry.gauge("apus_peer_bytes", "Bytes held for all peers.")
        mempoolTransactions = registry.gauge("apus_mempool_transactions", "Unconfirmed transactions.")
        mempoolBytes = registry.gauge("apus_mempool_bytes", "Size of the unconfirmed transactions.")
        machineEvents = registry.gauges(
            "apus_machine_queue_events", "Events that wait for a machine.", by: "machine")
        machinePeaks = registry.gauges(
            "apus_machine_queue_peak_events", "Most events that have waited for a machine at once.",
            by: "machine")
        commitWaits = registry.gauge(
            "apus_commit_waits", "Transactions whose commit clients of JSON-RPC wait for.")
        gossipMessages = registry.counters(
            "apus_gossip_messages_total", "Gossip messages received, by what became of them.", by: "outcome")
    }

    /// Adds the queues of a worker: one, or those of a pool by their priorities.
    func add(_ worker: Worker) {
        guard case .pool = worker.kind else { return add(worker, .low, as: worker.name) }
        for priority in JobPriority.allCases {
            add(worker, priority, as: "\(worker.name)-\(priority.rawValue)")
        }
        registry.gauge(
            "apus_pool_threads", "Threads of a pool for all its jobs, at most.", ("pool", worker.name)
        ).set(Int64(worker.kind.threads))
    }

    private func add(_ worker: Worker, _ priority: JobPriority, as name: String) {
        registry.reading(
            .gauge, "apus_worker_queue_jobs", "Jobs that wait for a worker.", ("worker", name)
        ) { [weak worker] in Int64(worker?.depth(priority) ?? 0) }
        registry.reading(
            .gauge, "apus_worker_queue_peak_jobs", "Most jobs that have waited for a worker at once.",
            ("worker", name)
        ) { [weak worker] in Int64(worker?.peakDepth(priority) ?? 0) }
        registry.add(
            worker.waits(priority), "apus_worker_queue_seconds", "Time that jobs waited for a worker.",
            ("worker", name))
    }
}

extension RoleName: MetricLabel {}

extension Loss.Reason: MetricLabel {}

/// The result of a committed transaction.
enum TransactionOutcome: String, MetricLabel {
    case ok, failed
}

/// What this node received twice.
enum DuplicateKind: String, MetricLabel {
    case transaction, block, gossip
}

/// A machine with a queue.
enum MachineName: String, MetricLabel {
    case consensus, mempool
}

/// What became of a gossip message.
enum GossipOutcome: String, MetricLabel {
    case accepted, ignored, rejected, overflowed, duplicate
}

/// A validator's answer to a proposal.
enum VoteAnswer: String, MetricLabel {
    case ack, nack

    init(_ answer: AckRes) { self = answer.appHash == nil ? .nack : .ack }
}

/// Why the mempool refused a transaction.
enum MempoolRefusal: String, MetricLabel {
    case duplicate, malformed, size, fee, balance, nonce, sender, full

    init(_ error: MempoolError) {
        switch error {
        case .duplicate: self = .duplicate
        case .refused: self = .malformed
        case .tooLarge: self = .size
        case .negativeFee: self = .fee
        case .insufficientBalance: self = .balance
        case .nonceTooLow, .nonceTooHigh, .nonceTaken: self = .nonce
        case .senderFull: self = .sender
        case .full, .fullForGapped: self = .full
        }
    }
}
