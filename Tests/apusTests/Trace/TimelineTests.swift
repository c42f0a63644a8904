import API
import Chain
import Crypto
import JSON
import Metrics
import Multiformats
import Node
import Testing

@testable import apus

/// Stages of several nodes on one clock, as text and for Perfetto.
@Suite struct TimelineTests {
    private let keys: [PeerID]

    init() throws { keys = try (0..<2).map { _ in try PrivateKey.generate(.ed25519).publicKey.peerID } }

    /// A node whose clock is `offset` seconds behind this process's.
    private func node(_ index: Int, offset: Int, uncertainty: Int) throws -> TracedNode {
        TracedNode(
            address: "127.0.0.1:\(9_000 + index)", peerID: keys[index].description,
            clock: ClockOffset(offset: .seconds(offset), uncertainty: .milliseconds(uncertainty)),
            client: try RPCClient("127.0.0.1:\(9_000 + index)"))
    }

    private func trace(_ role: RoleName, _ base: Int, _ stages: [(BlockStage, Int)]) -> BlockTrace {
        var trace = BlockTrace(height: 12, hash: .sha256(of: [1]), role: role)
        trace.stages = stages.map { StageTime($0.0, at: .milliseconds(base + $0.1)) }
        trace.outcome = .committed
        trace.transactions = 3
        return trace
    }

    /// A leader and a validator 100 s apart, whose true times are those of the numbers here.
    private func timeline() throws -> Timeline {
        let leader = trace(
            .leader, 0, [(.building, 1_000), (.proposed, 1_010), (.executed, 1_040), (.committed, 1_100)])
        var validator = trace(
            .validator, 100_000, [(.header, 1_015), (.body, 1_020), (.verified, 1_030), (.executed, 1_060)])
        validator.source = keys[0]
        validator.size = 700
        let timeline = Timeline(blocks: [
            (try node(0, offset: 50, uncertainty: 2), leader),
            (try node(1, offset: -50, uncertainty: 3), validator),
        ])
        return try #require(timeline)
    }

    @Test func nodesAreLinedUp() throws {
        let timeline = try timeline()
        #expect(timeline.origin == .milliseconds(51_000))
        #expect(timeline.length == .milliseconds(100))
        #expect(timeline.uncertainty == .milliseconds(5))
        let bars = timeline.lanes[1].bars
        #expect(bars.map(\.name) == ["header_received", "body_received", "verified", "executed"])
        // The announcement was on its way since the leader proposed the block.
        #expect(bars[0].begin == .milliseconds(51_010) && bars[0].end == .milliseconds(51_015))
        #expect(bars[3].begin == bars[2].end)
        #expect(timeline.lanes[1].note == "validator, committed, body from 127.0.0.1:9000")
        #expect(Timeline(blocks: []) == nil)
    }

    @Test func theWaterfallHasABarPerStage() throws {
        let lines = Waterfall(try timeline(), columns: 18 + 22 + 1 + 100).lines
        #expect(lines[1] == "3 transactions, 700 bytes")
        #expect(lines[2] == "100.000 ms on 2 nodes, whose clocks agree within 5.000 ms")
        let executed = try #require(lines.first { $0.hasPrefix("  executed") })
        let bar = executed.dropFirst(18).prefix(100)
        #expect(bar.prefix(10).allSatisfy { $0 == " " })
        #expect(bar.dropFirst(10).prefix(30).allSatisfy { $0 == "█" })
        #expect(bar.dropFirst(40).allSatisfy { $0 == " " })
        #expect(executed.hasSuffix("     40.000    +30.000"))
        let building = try #require(lines.first { $0.hasPrefix("  building") })
        #expect(building.dropFirst(18).first == "▏" && building.contains("0.000"))
        #expect(lines.filter { $0.hasPrefix("  ") }.allSatisfy { $0.count == 18 + 22 + 1 + 100 })
    }

    /// A stage per thread and a node per process; every event has a place on one of them.
    @Test func perfettoGetsEveryStage() throws {
        let bytes = PerfettoTrace(timelines: [try timeline(), try timeline()]).bytes
        var root = try JSONDocument(bytes).root.members()
        var (slices, threads, processes) = (0, Set<[Int]>(), 0)
        for event in try root.value("traceEvents").array() {
            var members = try event.members()
            let name = try members.value("name").string()
            let process = try members.value("pid").integer(Int.self)
            switch try members.value("ph").string() {
            case "M" where name == "process_name": processes += 1
            case "M" where name == "thread_name":
                threads.insert([process, try members.value("tid").integer(Int.self)])
            case "M": break
            default:
                slices += 1
                #expect(threads.contains([process, try members.value("tid").integer(Int.self)]))
                #expect(try members.value("ts").double() >= 0)
                #expect(try members.value("dur").double() >= 0)
            }
        }
        #expect(processes == 2 && slices == 16)
    }

    @Test func aTransactionIsFetchedAfterItsAnnouncement() throws {
        var (first, second) = (TransactionTrace(id: .zero), TransactionTrace(id: .zero))
        first.stages = [
            StageTime(.submitted, at: .seconds(1)), StageTime(.checked, at: .seconds(2)),
            StageTime(.announced, at: .seconds(3)),
        ]
        second.stages = [StageTime(.fetched, at: .seconds(104)), StageTime(.checked, at: .seconds(105))]
        second.height = 8
        let timeline = try #require(
            Timeline(transactions: [
                (try node(0, offset: 0, uncertainty: 1), first),
                (try node(1, offset: -100, uncertainty: 1), second),
            ]))
        #expect(timeline.lanes[1].bars[0].begin == .seconds(3))
        #expect(timeline.height == 8 && timeline.length == .seconds(4))
    }
}
