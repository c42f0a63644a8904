import Crypto
import Reactor
import Testing

@testable import Node

/// Which blocks are kept, and how they end.
@Suite struct BlockTracesTests {
    private static func hash(_ number: Int) -> Hash { .sha256(of: Array("block \(number)".utf8)) }

    @Test func theLatestBlocksAreKept() async throws {
        try await Reactor.run {
            let traces = BlockTraces()
            for number in 1...BlockTraces.capacity + 5 {
                traces.note(
                    .header, height: Int64(number), hash: Self.hash(number), as: .sentry,
                    at: .seconds(number))
            }
            #expect(traces.count == BlockTraces.capacity)
            #expect(traces.at(5).isEmpty)
            #expect(traces.at(6).map(\.hash) == [Self.hash(6)])
            #expect(traces.at(1_005).first?.stages == [StageTime(.header, at: .seconds(1_005))])
            // A forgotten block that comes again has no old stages.
            traces.note(.body, height: 1, hash: Self.hash(1), as: .sentry, at: .seconds(2_000))
            #expect(traces.at(1).first?.stages.map(\.stage) == [.body])
            #expect(traces.at(6).isEmpty)
        }
    }

    @Test func aCommitEndsTheOtherBlocksOfItsHeight() async throws {
        try await Reactor.run {
            let traces = BlockTraces()
            for number in [1, 2, 3, 4] {
                traces.note(
                    .header, height: number == 4 ? 8 : 7, hash: Self.hash(number), as: .validator, at: .zero)
            }
            traces.noteRefusal(of: Self.hash(1))
            traces.note(.committed, height: 7, hash: Self.hash(3), as: .validator, at: .seconds(1))
            #expect(traces.at(7).map(\.outcome) == [.refused, .abandoned, .committed])
            #expect(traces.at(8).map(\.outcome) == [.pending])
            #expect(traces.histograms.whole.snapshot().sum == 1_000_000_000)
        }
    }

    /// Sync notes a body once it is proven; an announcement of the block may have come meanwhile.
    @Test func aBodyIsNeverBeforeItsHeader() async throws {
        try await Reactor.run {
            let traces = BlockTraces()
            traces.note(.header, height: 7, hash: Self.hash(1), as: .sentry, at: .seconds(3))
            traces.note(.body, height: 7, hash: Self.hash(1), as: .sentry, at: .seconds(2))
            #expect(
                traces.at(7).first?.stages
                    == [StageTime(.header, at: .seconds(3)), StageTime(.body, at: .seconds(3))])
        }
    }

    @Test func theSlowestCommittedBlocksComeFirst() async throws {
        try await Reactor.run {
            let traces = BlockTraces()
            for (number, time) in [3, 9, 1, 5].enumerated() {
                let hash = Self.hash(number)
                traces.note(.building, height: Int64(number), hash: hash, as: .leader, at: .seconds(100))
                traces.note(
                    .committed, height: Int64(number), hash: hash, as: .leader, at: .seconds(100 + time))
            }
            traces.note(.building, height: 9, hash: Self.hash(9), as: .leader, at: .zero)
            #expect(traces.slowest(3).map(\.height) == [1, 3, 0])
            #expect(traces.slowest(3).first?.whole == .seconds(9))
            #expect(traces.slowest(100).count == 4)
        }
    }
}
