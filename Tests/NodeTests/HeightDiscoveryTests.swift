import Multiformats
import TestSupport
import Testing

@testable import Node

@Suite struct HeightDiscoveryTests {
    private func machine(_ best: Int64 = 5, emptyBlocks: Duration = .zero) -> HeightDiscovery {
        HeightDiscovery(best: best, emptyBlockInterval: emptyBlocks)
    }

    private func peer(_ number: UInt8) throws -> PeerID {
        try PeerID(publicKeyProtobuf: [UInt8](repeating: number, count: 36))
    }

    @Test func asksOnceThereIsAPeerAndAgainAfterSilence() {
        var machine = machine()
        #expect(machine.deadline == nil)
        machine.peerReady(now: .seconds(10), random: 512)
        #expect(machine.deadline == .seconds(13))
        machine.peerReady(now: .seconds(12), random: 0)
        #expect(machine.timer(now: .seconds(12), random: 0) == [])
        #expect(machine.timer(now: .seconds(13), random: 0) == [.ask])
        // The waits double up to the longest.
        var waits: [Duration] = []
        for _ in 0..<7 {
            guard let deadline = machine.deadline else { break }
            waits.append(deadline)
            #expect(machine.timer(now: deadline, random: 0) == [.ask])
        }
        let pauses = zip(waits.dropFirst(), waits).map { $0 - $1 }
        #expect(pauses == [180, 360, 720, 1_440, 1_800, 1_800].map { .seconds($0) })
    }

    @Test func blocksPutOffTheQuestion() {
        var machine = machine(emptyBlocks: .seconds(60))
        machine.peerReady(now: .zero, random: 0)
        #expect(machine.timer(now: .seconds(2), random: 0) == [.ask])
        machine.committed(6, now: .seconds(100), random: 0)
        #expect(machine.deadline == .seconds(220))
        #expect(machine.best == 6)
    }

    @Test func aRequestOfAnotherTakesThePlaceOfOnesOwn() {
        var machine = machine(0)
        machine.peerReady(now: .zero, random: 0)
        #expect(machine.requested(now: .seconds(1), random: 0) == .accept)
        #expect(machine.deadline == .seconds(91))
    }

    @Test func answersOnceAnIntervalAndNotAtOnce() throws {
        var machine = machine()
        #expect(machine.requested(now: .seconds(1), random: 7) == .accept)
        let first = try #require(machine.deadline)
        #expect(first > .seconds(1) && first <= .seconds(5))
        #expect(machine.requested(now: .seconds(2), random: 9) == .accept)
        #expect(machine.deadline == first)
        #expect(machine.timer(now: first, random: 0) == [.answer(5)])
        #expect(machine.deadline == nil)
        #expect(machine.requested(now: first, random: 0) == .accept)
        #expect(machine.deadline == first + .seconds(10))
    }

    @Test func theSameAnswerOfAnotherTakesThePlaceOfOnesOwn() throws {
        for (height, isSilent) in [(4, false), (5, true), (6, false)] as [(UInt64, Bool)] {
            var machine = machine()
            _ = machine.requested(now: .seconds(1), random: 0)
            #expect(machine.answered(height, by: try peer(1), now: .seconds(1)) == .accept)
            #expect((machine.deadline == nil) == isSilent)
        }
    }

    @Test func whatIsPassedOnIsBounded() throws {
        var machine = machine()
        for _ in 0..<HeightDiscovery.requestsPerInterval {
            #expect(machine.requested(now: .seconds(20), random: 0) == .accept)
        }
        #expect(machine.requested(now: .seconds(20), random: 0) == .ignore)
        #expect(machine.answered(9, by: try peer(1), now: .seconds(20)) == .accept)
        #expect(machine.answered(9, by: try peer(1), now: .seconds(21)) == .ignore)
        #expect(machine.answered(9, by: try peer(2), now: .seconds(21)) == .accept)
        #expect(machine.requested(now: .seconds(30), random: 0) == .accept)
        #expect(machine.answered(9, by: try peer(1), now: .seconds(30)) == .accept)
        for height in [0, UInt64(Int64.max) + 1, .max] {
            #expect(machine.answered(height, by: try peer(3), now: .seconds(40)) == .reject)
        }
    }

    @Test func aNodeWithoutBlocksHasNothingToSay() {
        var machine = machine(0)
        #expect(machine.requested(now: .seconds(1), random: 0) == .accept)
        #expect(machine.deadline == nil)
    }

    @Test func aThousandNodesAnswerAFewTimes() {
        // All hear the request at once, and an answer a tenth of a second after it was published.
        var random = SeededGenerator(seed: 1)
        var due: [Duration] = []
        for _ in 0..<1_000 {
            var machine = machine()
            _ = machine.requested(now: .zero, random: random.next())
            if let deadline = machine.deadline { due.append(deadline) }
        }
        let first = due.min() ?? .zero
        #expect(due.count == 1_000)
        #expect(due.filter { $0 <= first + .milliseconds(100) }.count < 60)
    }
}
