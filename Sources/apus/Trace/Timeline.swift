import Crypto
import Multiformats
import Node

/// The stages of one block or transaction on several nodes, by one clock.
struct Timeline {
    /// A stage on a node.
    struct Bar {
        let name: String
        /// When its latest predecessor ended; nil if none is known.
        var begin: Duration?
        let end: Duration
    }

    /// The stages on one node, in order.
    struct Lane {
        let node: TracedNode
        let bars: [Bar]
        /// What the node recorded besides the stages: `validator, committed, body from 12D3…`.
        let note: String
    }

    let title: String
    /// The block's hash or the transaction's ID.
    let id: Hash
    /// The block's height; that of the transaction's block, or 0 before its commit.
    let height: Int64
    let lanes: [Lane]

    /// The earliest time.
    let origin: Duration
    /// The time from the earliest to the latest stage.
    let length: Duration

    init(_ title: String, _ id: Hash, height: Int64, _ lanes: [Lane]) {
        self.title = title
        self.id = id
        self.height = height
        self.lanes = lanes
        let bars = lanes.flatMap(\.bars)
        let origin = bars.map { $0.begin ?? $0.end }.min() ?? .zero
        self.origin = origin
        length = (bars.map(\.end).max() ?? origin) - origin
    }

    /// The most by which the clocks of two of the nodes may disagree after correction.
    var uncertainty: Duration {
        let most = lanes.map(\.node.clock.uncertainty).sorted(by: >)
        return most.prefix(2).reduce(.zero, +)
    }
}

extension Timeline {
    /// Creates the timeline of a block. Returns nil if no node recorded it. An announcement is on its way since the leader
    /// proposed the block, or since the peer that sent the body announced it.
    init?(blocks found: [(node: TracedNode, trace: BlockTrace)]) {
        guard let first = found.first?.trace else { return nil }
        let known = found.max { $0.trace.size < $1.trace.size }?.trace ?? first
        let proposed = found.lazy.compactMap { Self.time(.proposed, $0) }.min()
        let lanes = found.map { node, trace in
            let source = found.first { $0.node.peerID == trace.source?.description }
            let isAnnounced = trace.role != .validator
            let sent = isAnnounced ? source.flatMap { Self.time(.announced, $0) } : proposed
            return Lane(
                node: node, bars: Self.bars(trace.stages, node) { $0 == .header ? sent : nil },
                note: Self.note(trace, source?.node))
        }
        self.init(
            "block \(known.height)  \(known.hash)\n\(known.transactions) transactions, \(known.size) bytes",
            known.hash, height: known.height, lanes)
    }

    /// Creates the timeline of a transaction. Returns nil if no node recorded it. A node fetches it after another has
    /// announced it.
    init?(transactions found: [(node: TracedNode, trace: TransactionTrace)]) {
        guard let first = found.first?.trace else { return nil }
        let announced = found.compactMap { Self.time(.announced, $0) }
        let lanes = found.map { node, trace in
            let fetched = Self.time(.fetched, (node, trace))
            let sent = announced.filter { time in fetched.map { time <= $0 } ?? false }.max()
            let note = trace.height > 0 ? "in block \(trace.height)" : "not committed"
            return Lane(
                node: node, bars: Self.bars(trace.stages, node) { $0 == .fetched ? sent : nil }, note: note)
        }
        let height = found.map(\.trace.height).max() ?? 0
        self.init("transaction \(first.id)", first.id, height: height, lanes)
    }

    private static func bars<Stage>(
        _ stages: [StageTime<Stage>], _ node: TracedNode, _ sent: (Stage) -> Duration?
    ) -> [Bar] {
        stages.enumerated().map { index, stage in
            let end = stage.time + node.clock.offset
            let begin = stages.beginning(of: index).map { $0 + node.clock.offset } ?? sent(stage.stage)
            return Bar(name: "\(stage.stage.name)", begin: begin.map { min($0, end) }, end: end)
        }
    }

    private static func note(_ trace: BlockTrace, _ source: TracedNode?) -> String {
        let body = trace.source.map { ", body from \(source?.address ?? $0.description)" } ?? ""
        return "\(trace.role.rawValue), \(trace.outcome.rawValue)\(body)"
    }

    private static func time(_ stage: BlockStage, _ found: (node: TracedNode, trace: BlockTrace)) -> Duration?
    {
        found.trace.stages.first { $0.stage == stage }.map { $0.time + found.node.clock.offset }
    }

    private static func time(
        _ stage: TransactionStage, _ found: (node: TracedNode, trace: TransactionTrace)
    ) -> Duration? {
        found.trace.stages.first { $0.stage == stage }.map { $0.time + found.node.clock.offset }
    }
}
