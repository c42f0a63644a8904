import API
import Arguments
import Bytes
import Chain
import Crypto
import Glibc
import JSON
import Log
import Node

/// `apus trace`: shows the stages of blocks and transactions on one or several nodes (docs/operate/tracing.md).
struct TraceCommand: Action {
    /// What is shown.
    enum Subject: String, CaseIterable {
        /// The stages of a block, as a waterfall.
        case block
        /// The stages of a transaction, as a waterfall.
        case tx
        /// How long each stage took since the nodes started.
        case stages
    }

    /// The most blocks of `--slowest`.
    private static let mostSlowest = 100

    let subject: Subject?
    let name: String?
    let slowest: Int?
    let nodes: [String]?
    let perfetto: String?
    let hdr: String?
    let rpc: RPCOptions
    let output: OutputForm

    static var command: Command {
        Command(
            "trace", "Show the stages of blocks and transactions on one or several nodes.",
            discussion: "With several nodes, times are corrected for the offsets of their clocks.",
            .argument(.choice("SUBJECT"), "What to show: a block, a transaction, or how long stages take."),
            .argument(.text("NAME"), "Height of the block, or ID of the transaction."),
            .option(
                "slowest", .integer(1...mostSlowest, "COUNT"),
                "Show the blocks that took the first node longest instead."),
            .option("nodes", Syntax.rpcAddress.list(), "JSON-RPC addresses of the nodes, instead of --rpc."),
            .option("perfetto", .path("FILE"), "Also write a trace for Perfetto."),
            .option("hdr", .path("FILE"), "With \"stages\", also write a log for HdrHistogram's tools."),
            RPCOptions.parameters, OutputForm.parameter, action: TraceCommand.init)
    }

    func validate() throws(UsageError) {
        switch (subject, slowest) {
        case (nil, nil): throw .inconsistent("name a block, a transaction or stages, or give --slowest")
        case (.some, .some): throw .inconsistent("--slowest shows blocks of its own")
        default: break
        }
        switch subject {
        case .block where name.flatMap(Int64.init).map { $0 > 0 } != true:
            throw .inconsistent("\"block\" needs a height: a whole number from 1")
        case .tx where name.flatMap { Hash(hex: $0) } == nil:
            throw .inconsistent("\"tx\" needs a transaction ID of 64 hexadecimal digits")
        case .stages where name != nil: throw .inconsistent("\"stages\" has no further argument")
        default: break
        }
        if hdr != nil, subject != .stages { throw .inconsistent("--hdr belongs to \"stages\"") }
        if perfetto != nil, subject == .stages {
            throw .inconsistent("--perfetto needs blocks or a transaction")
        }
    }

    func run() async throws {
        let nodes = try await TracedNode.connect(nodes ?? [rpc.address])
        if let slowest { return try await showSlowest(slowest, nodes) }
        switch subject {
        case .block: try await show(try await block(name.flatMap(Int64.init) ?? 0, nodes))
        case .tx: try await show(try await transaction(name.flatMap { Hash(hex: $0) } ?? .zero, nodes))
        case .stages, nil: try await showStages(nodes)
        }
    }

    // MARK: Waterfalls

    private func block(_ height: Int64, _ nodes: [TracedNode]) async throws -> Timeline {
        var found: [(TracedNode, BlockTrace)] = []
        for node in nodes {
            let traces = try await node.client.blockTraces(at: height).traces
            if let trace = traces.first(where: { $0.outcome == .committed }) ?? traces.last {
                found.append((node, trace))
            }
        }
        guard let timeline = Timeline(blocks: found) else {
            throw CommandFailure(
                "no node keeps the stages of block \(height): each keeps its latest 1,000 blocks")
        }
        return timeline
    }

    private func transaction(_ id: Hash, _ nodes: [TracedNode]) async throws -> Timeline {
        var found: [(TracedNode, TransactionTrace)] = []
        var oneOf = 1
        for node in nodes {
            let result = try await node.client.transactionTrace(id)
            oneOf = max(oneOf, result.oneOf)
            if let trace = result.trace { found.append((node, trace)) }
        }
        guard let timeline = Timeline(transactions: found) else {
            throw CommandFailure(
                "no node keeps the stages of transaction \(id): each records one of \(oneOf) transactions now, "
                    + "and keeps recent ones")
        }
        return timeline
    }

    private func show(_ timeline: Timeline) async throws {
        try writePerfetto([timeline])
        if output == .json { return try StandardOutput.print(JSONLine { $0.timeline(timeline) }) }
        let columns = StandardOutput.columns ?? Waterfall.standardWidth
        for line in Waterfall(timeline, columns: columns).lines { try StandardOutput.print(line) }
    }

    private func writePerfetto(_ timelines: [Timeline]) throws {
        guard let perfetto else { return }
        try OutputFile.write(PerfettoTrace(timelines: timelines).bytes, to: perfetto)
    }

    // MARK: Slowest blocks

    private func showSlowest(_ count: Int, _ nodes: [TracedNode]) async throws {
        guard let first = nodes.first else { return }
        let slowest = try await first.client.slowestBlocks(count).traces
        var timelines: [Timeline] = []
        if perfetto != nil || output == .json {
            for trace in slowest { timelines.append(try await block(trace.height, nodes)) }
        }
        try writePerfetto(timelines)
        if output == .json {
            return try StandardOutput.print(
                .object { $0.array("blocks", of: timelines) { $0.timeline($1) } })
        }
        let widths = [10, 13, 14, 12]
        try StandardOutput.print(
            ["height", "took, ms", "transactions", "bytes", "longest stage, ms"].columns(widths))
        for trace in slowest {
            let took = trace.whole.map(\.bareMilliseconds) ?? ""
            try StandardOutput.print(
                ["\(trace.height)", took, "\(trace.transactions)", "\(trace.size)", Self.longest(trace)]
                    .columns(widths))
        }
    }

    private static func longest(_ trace: BlockTrace) -> String {
        let stages = trace.stages.enumerated().compactMap { index, stage in
            trace.stages.beginning(of: index).map { (stage.stage.name, stage.time - $0) }
        }
        return stages.max { $0.1 < $1.1 }.map { "\($0.0) \($0.1.bareMilliseconds)" } ?? ""
    }

    // MARK: Stages

    private func showStages(_ nodes: [TracedNode]) async throws {
        var blocks: [StageHistogramsResult.Stage] = []
        var transactions: [StageHistogramsResult.Stage] = []
        var entries: [HistogramLog.Entry] = []
        var length = Duration.zero
        for node in nodes {
            let found = try await node.client.stageHistograms()
            blocks.merge(found.blocks)
            transactions.merge(found.transactions)
            length = max(length, found.clock)
            entries += found.blocks.map { ("\(node.address)/block/\($0.name)", $0.counts) }
            entries += found.transactions.map { ("\(node.address)/tx/\($0.name)", $0.counts) }
        }
        if let hdr {
            let start = Double(time(nil)) - length / .seconds(1)
            let log = HistogramLog(entries: entries, start: start, length: length)
            try OutputFile.write(Array(log.text.utf8), to: hdr)
        }
        if output == .json {
            return try StandardOutput.print(
                .object {
                    $0.summary("blocks", blocks)
                    $0.summary("transactions", transactions)
                })
        }
        let tables = [
            StageSummary(title: "block, ms", stages: blocks),
            StageSummary(title: "transaction, ms", stages: transactions),
        ]
        for line in tables[0].lines + [""] + tables[1].lines {
            try StandardOutput.print(EscapedText(line).description)
        }
    }
}

extension JSONWriter {
    /// Writes a timeline, with times in nanoseconds since its origin.
    fileprivate mutating func timeline(_ timeline: Timeline) {
        object {
            $0.member("height", integer: timeline.height)
            $0.member("hash", hex: timeline.id)
            $0.member("length_ns", integer: timeline.length.nanoseconds)
            $0.member("uncertainty_ns", integer: timeline.uncertainty.nanoseconds)
            $0.array("nodes", of: timeline.lanes) { list, lane in
                list.object {
                    $0.member("rpc", text: lane.node.address)
                    $0.member("peer_id", text: lane.node.peerID)
                    $0.member("note", text: lane.note)
                    $0.member("uncertainty_ns", integer: lane.node.clock.uncertainty.nanoseconds)
                    $0.array("stages", of: lane.bars) { list, bar in
                        list.object {
                            $0.member("name", text: bar.name)
                            if let begin = bar.begin {
                                $0.member("begin_ns", integer: (begin - timeline.origin).nanoseconds)
                            }
                            $0.member("end_ns", integer: (bar.end - timeline.origin).nanoseconds)
                        }
                    }
                }
            }
        }
    }

    /// Writes a member with the percentiles of stages.
    fileprivate mutating func summary(_ name: StaticString, _ stages: [StageHistogramsResult.Stage]) {
        object(name) {
            for stage in stages where stage.counts.count > 0 {
                $0.name(stage.name)
                $0.object {
                    $0.member("count", integer: stage.counts.count)
                    $0.member("sum_ns", integer: stage.counts.sum)
                    $0.member("p50_ns", integer: stage.counts.value(atPercentile: 50))
                    $0.member("p90_ns", integer: stage.counts.value(atPercentile: 90))
                    $0.member("p99_ns", integer: stage.counts.value(atPercentile: 99))
                    $0.member("p99_9_ns", integer: stage.counts.value(atPercentile: 99.9))
                    $0.member("max_ns", integer: stage.counts.maximum)
                }
            }
        }
    }
}
