import Crypto
import Reactor
import Testing

@testable import Node

/// Which transactions are recorded.
@Suite struct TransactionTracesTests {
    private static func ids(_ numbers: Range<Int>) -> [Hash] {
        numbers.map { .sha256(of: Array("transaction \($0)".utf8)) }
    }

    @Test func allAreRecordedWhileFewCome() async throws {
        try await Reactor.run {
            let traces = TransactionTraces()
            let ids = Self.ids(0..<TransactionTraces.mostPerSecond)
            traces.begin(.submitted, ids, at: .seconds(5))
            traces.note(.checked, ids + Self.ids(1_000..<1_100), at: .seconds(6))
            traces.note(.committed, ids, height: 12, at: .seconds(8))
            #expect(traces.count == ids.count)
            let trace = try #require(traces.trace(ids[3]))
            #expect(trace.height == 12)
            #expect(trace.stages.map(\.stage) == [.submitted, .checked, .committed])
            #expect(traces.trace(Self.ids(1_000..<1_001)[0]) == nil)
            #expect(traces.histograms.whole.snapshot().count == UInt64(ids.count))
            #expect(traces.histograms.histogram(of: .committed).snapshot().maximum == 2_000_000_000)
        }
    }

    @Test func underLoadASampleIsRecordedWhichGrowsAgain() async throws {
        try await Reactor.run {
            let traces = TransactionTraces()
            var next = 0
            @ReactorActor func send(_ count: Int, at second: Int) -> Int {
                let before = traces.begun
                traces.begin(.fetched, Self.ids(next..<next + count), at: .seconds(second))
                next += count
                return traces.begun - before
            }
            for second in 1...20 { _ = send(8_192, at: second) }
            #expect(traces.thinning >= 4)
            let sampled = send(8_192, at: 21)
            #expect(sampled > 0 && sampled <= TransactionTraces.mostPerSecond * 2)
            for second in 30...60 { _ = send(1 << traces.thinning, at: second) }
            #expect(traces.thinning == 0)
            #expect(traces.count <= TransactionTraces.capacity)
        }
    }

    /// Nodes whose samples differ record the smaller one in common.
    @Test func theIDDecides() async throws {
        try await Reactor.run {
            let (busy, idle) = (TransactionTraces(), TransactionTraces())
            let ids = Self.ids(0..<600)
            for second in 1...12 {
                busy.begin(.fetched, Self.ids(second * 4_000..<second * 4_000 + 4_000), at: .seconds(second))
            }
            busy.begin(.fetched, ids, at: .seconds(12))
            for (second, id) in ids.enumerated() { idle.begin(.fetched, [id], at: .seconds(second)) }
            let both = ids.filter { busy.trace($0) != nil && idle.trace($0) != nil }
            #expect(!both.isEmpty)
            #expect(ids.allSatisfy { busy.trace($0) == nil || idle.trace($0) != nil })
        }
    }

    @Test func newTransactionsReplaceTheOldest() async throws {
        try await Reactor.run {
            let traces = TransactionTraces()
            let ids = Self.ids(0..<3 * TransactionTraces.capacity)
            for (second, id) in ids.enumerated() { traces.begin(.submitted, [id], at: .seconds(second)) }
            #expect(traces.count <= TransactionTraces.capacity)
            #expect(traces.trace(ids[0]) == nil)
            #expect(ids.suffix(100).allSatisfy { traces.trace($0) != nil })
        }
    }
}
