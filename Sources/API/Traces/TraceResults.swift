import Chain
import JSON
import Metrics
import Multiformats
import Node

/// The result of `apus.block_trace` and `apus.slowest_blocks`.
public struct BlockTracesResult: Sendable {
    /// The peer ID of the node.
    public var peerID: String
    /// Blocks with their stages.
    public var traces: [BlockTrace]

    init(_ members: inout JSONMembers) throws {
        peerID = try members.value("peer_id").string()
        traces = try members.value("traces").array().map { value in
            var inner = try value.members()
            return try BlockTrace(&inner)
        }
    }
}

/// The result of `apus.tx_trace`.
public struct TransactionTraceResult: Sendable {
    /// The peer ID of the node.
    public var peerID: String
    /// One of so many transactions is recorded now.
    public var oneOf: Int
    /// The transaction's stages; nil if they are not recorded.
    public var trace: TransactionTrace?

    init(_ members: inout JSONMembers) throws {
        peerID = try members.value("peer_id").string()
        oneOf = try members.value("one_of").integer()
        guard var inner = try members.optional("trace")?.members() else { return }
        var trace = TransactionTrace(id: try inner.value("hash").hash())
        trace.height = try inner.optional("height")?.integer() ?? 0
        trace.stages = try inner.value("stages").stages()
        self.trace = trace
    }
}

/// The result of `apus.stage_histograms`.
public struct StageHistogramsResult: Sendable {
    /// A stage's name and how long it took, each time.
    public struct Stage: Sendable {
        /// Its name; `whole` for all stages together.
        public var name: String
        /// The counts of durations.
        public var counts: HistogramSnapshot
    }

    /// The time by the clock of the node's loop, which began with the node.
    public var clock: Duration
    /// The stages of blocks.
    public var blocks: [Stage]
    /// The stages of transactions.
    public var transactions: [Stage]

    init(_ members: inout JSONMembers) throws {
        clock = .nanoseconds(try members.value("clock_ns").integer(Int64.self))
        func stages(_ name: StaticString) throws -> [Stage] {
            try members.value(name).object().map { name, value in
                Stage(name: name.string, counts: try Self.counts(value))
            }
        }
        blocks = try stages("blocks")
        transactions = try stages("transactions")
    }

    private static func counts(_ value: JSONValue) throws -> HistogramSnapshot {
        var members = try value.members()
        let buckets = try members.value("buckets").array().map { pair in
            let parts = try pair.array().map { value in try value.integer(UInt64.self) }
            guard parts.count == 2, let index = Int(exactly: parts[0]) else {
                throw pair.error("is no pair of index and count")
            }
            return (index: index, count: parts[1])
        }
        let counts = HistogramSnapshot(
            buckets: buckets, sum: try members.value("sum_ns").integer(),
            minimum: try members.value("min_ns").integer(), maximum: try members.value("max_ns").integer(),
            clamped: try members.value("clamped").integer())
        guard let counts else { throw value.error("has a bucket that does not exist") }
        return counts
    }
}

extension BlockTrace {
    fileprivate init(_ members: inout JSONMembers) throws {
        let role = try members.value("role")
        guard let known = RoleName(rawValue: try role.string()) else { throw role.error("is no known role") }
        self.init(
            height: try members.value("height").integer(), hash: try members.value("hash").hash(), role: known
        )
        let outcome = try members.value("outcome")
        guard let known = Outcome(rawValue: try outcome.string()) else {
            throw outcome.error("is no known outcome")
        }
        self.outcome = known
        size = try members.value("size").integer()
        transactions = try members.value("transactions").integer()
        if let source = members.optional("source") {
            guard let peer = try? PeerID(try source.string()) else { throw source.error("is no peer ID") }
            self.source = peer
        }
        stages = try members.value("stages").stages()
    }
}

extension JSONValue {
    /// Reads the times of stages. Skips stages that this version does not know.
    fileprivate func stages<Stage: TraceStage>() throws -> [StageTime<Stage>] {
        let read = try object().compactMap { name, value -> StageTime<Stage>? in
            let stage = name.withUnsafeBytes { Stage(name: $0) }
            return try stage.map { StageTime($0, at: .nanoseconds(try value.integer(Int64.self))) }
        }
        return read.sorted { $0.time < $1.time }
    }
}
