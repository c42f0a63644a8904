import Collections
import Multiformats
import Reactor
import TestSupport
import Testing

@testable import Node

@Suite struct HeightDiscoveryTests {
    private func machine(_ best: Int64 = 5, emptyBlocks: Duration = .zero) -> HeightDiscovery {
        HeightDiscovery(best: best, emptyBlockInterval: emptyBlocks, seed: 1)
    }

    private func feed(
        _ machine: inout HeightDiscovery, _ event: HeightDiscovery.Event, _ now: Duration
    ) -> [HeightDiscovery.Action] {
        var actions: [HeightDiscovery.Action] = []
        machine.handle(event, at: Instant(elapsed: now, wallClock: 0), actions: &actions)
        do { try machine.checkInvariants() } catch { Issue.record(error) }
        return actions
    }

    private func peer(_ number: UInt8) throws -> PeerID {
        try PeerID(publicKeyProtobuf: [UInt8](repeating: number, count: 36))
    }

    private func answer(
        _ machine: inout HeightDiscovery, _ height: UInt64, _ author: UInt8, _ now: Duration
    ) throws -> HeightDiscovery.Verdict {
        machine.answered(height, by: try peer(author), through: try peer(100), isTrusted: true, now: now)
            .verdict
    }

    @Test func asksOnceThereIsAPeerAndAgainAfterSilence() throws {
        var machine = machine()
        #expect(machine.deadline == nil)
        #expect(feed(&machine, .peerReady, .seconds(10)) == [])
        let first = try #require(machine.deadline)
        #expect((.seconds(12) ..< .seconds(14)).contains(first))
        #expect(feed(&machine, .peerReady, .seconds(11)) == [])
        #expect(machine.deadline == first)
        #expect(feed(&machine, .timer, .seconds(11)) == [])
        // The waits double up to the longest, and each is longer by up to as much at random.
        for wait in [90, 180, 360, 720, 1_440, 1_800, 1_800] as [Int] {
            let now = try #require(machine.deadline)
            #expect(feed(&machine, .timer, now) == [.ask])
            let next = try #require(machine.deadline)
            #expect((now + .seconds(wait)..<now + .seconds(2 * wait)).contains(next))
        }
    }

    @Test func blocksPutOffTheQuestion() throws {
        var machine = machine(emptyBlocks: .seconds(60))
        #expect(feed(&machine, .peerReady, .zero) == [])
        #expect(feed(&machine, .timer, .seconds(4)) == [.ask])
        #expect(feed(&machine, .committed(6), .seconds(100)) == [])
        #expect((.seconds(220) ..< .seconds(340)).contains(try #require(machine.deadline)))
        #expect(machine.best == 6)
    }

    @Test func aRequestOfAnotherTakesThePlaceOfOnesOwn() throws {
        var machine = machine(0)
        #expect(feed(&machine, .peerReady, .zero) == [])
        #expect(machine.requested(through: try peer(100), isTrusted: true, now: .seconds(1)) == .accept)
        #expect((.seconds(91) ..< .seconds(181)).contains(try #require(machine.deadline)))
    }

    @Test func answersOnceAnIntervalAndNotAtOnce() throws {
        var machine = machine()
        #expect(
            machine.requested(through: try peer(100), isTrusted: true, now: .seconds(1)) == .accept
        )
        let first = try #require(machine.deadline)
        #expect(first > .seconds(1) && first <= .seconds(5))
        #expect(
            machine.requested(through: try peer(100), isTrusted: true, now: .seconds(2)) == .accept
        )
        #expect(machine.deadline == first)
        #expect(feed(&machine, .timer, first) == [.answer(5)])
        #expect(machine.deadline == nil)
        #expect(machine.requested(through: try peer(101), isTrusted: true, now: first) == .accept)
        let next = try #require(machine.deadline)
        #expect((first + .seconds(10)..<first + .seconds(14)).contains(next))
    }

    @Test func theSameAnswerOfAnotherTakesThePlaceOfOnesOwn() throws {
        for (height, isSilent) in [(4, false), (5, true), (6, false)] as [(UInt64, Bool)] {
            var machine = machine()
            _ = machine.requested(through: try peer(100), isTrusted: true, now: .seconds(1))
            #expect(try answer(&machine, height, 1, .seconds(1)) == (height > 5 ? .ignore : .accept))
            #expect((machine.deadline == nil) == isSilent)
        }
    }

    @Test func relayedMessagesAreBounded() throws {
        var machine = machine()
        let share = HeightDiscovery.requestsPerInterval / HeightDiscovery.share
        for neighbour in 0..<UInt8(HeightDiscovery.share) {
            for number in 0...share {
                let verdict = machine.requested(
                    through: try peer(neighbour), isTrusted: true, now: .seconds(20))
                #expect(verdict == (number < share ? .accept : .ignore), "one neighbour has one share")
            }
        }
        #expect(
            machine.requested(through: try peer(100), isTrusted: true, now: .seconds(20))
                == .ignore)
        #expect(try answer(&machine, 4, 1, .seconds(20)) == .accept)
        #expect(try answer(&machine, 4, 1, .seconds(21)) == .ignore)
        #expect(try answer(&machine, 4, 2, .seconds(21)) == .accept)
        #expect(
            machine.requested(through: try peer(100), isTrusted: true, now: .seconds(30))
                == .accept)
        #expect(try answer(&machine, 4, 1, .seconds(30)) == .accept)
        for height in [0, UInt64(Int64.max) + 1, .max] {
            #expect(try answer(&machine, height, 3, .seconds(40)) == .reject)
        }
    }

    @Test func onlyWhoIsAsHighPassesAHeightOn() throws {
        var machine = machine()
        for (author, height) in [(1, 4), (2, 5), (3, 6), (4, 1_000_000)] as [(UInt8, UInt64)] {
            let (verdict, isNews) = machine.answered(
                height, by: try peer(author), through: try peer(100), isTrusted: true, now: .seconds(1))
            #expect(verdict == (height <= 5 ? .accept : .ignore))
            #expect(isNews == (height > 5), "a greater height is a reason to ask")
        }
    }

    @Test func oneNeighbourDoesNotKeepOthersFromBeingHeard() throws {
        var machine = machine()
        var heard = 0
        for author in 0..<HeightDiscovery.answersPerInterval {
            let author = try PeerID(publicKeyProtobuf: [UInt8(author >> 8), UInt8(author & 255)])
            let answer = machine.answered(
                4, by: author, through: try peer(100), isTrusted: true, now: .seconds(1))
            heard += answer.verdict == .accept ? 1 : 0
        }
        #expect(heard == HeightDiscovery.answersPerInterval / HeightDiscovery.share)
        let other = machine.answered(
            4, by: try peer(1), through: try peer(101), isTrusted: true, now: .seconds(1))
        #expect(other.verdict == .accept)
    }

    @Test func strangersLeaveAHalfToOthers() throws {
        var machine = machine()
        var requests = 0
        var answers = 0
        for stranger in 0..<UInt8(40) {
            for number in 0..<HeightDiscovery.answersPerInterval {
                let author = try PeerID(publicKeyProtobuf: [
                    stranger, UInt8(number >> 8), UInt8(number & 255),
                ])
                let answer = machine.answered(
                    4, by: author, through: try peer(stranger), isTrusted: false, now: .seconds(1))
                answers += answer.verdict == .accept ? 1 : 0
            }
            for _ in 0..<8 {
                let verdict = machine.requested(
                    through: try peer(stranger), isTrusted: false, now: .seconds(1))
                requests += verdict == .accept ? 1 : 0
            }
        }
        #expect(requests <= HeightDiscovery.requestsPerInterval / 2)
        #expect(answers <= HeightDiscovery.answersPerInterval / 2)
        #expect(try answer(&machine, 5, 1, .seconds(1)) == .accept)
        #expect(
            machine.requested(through: try peer(101), isTrusted: true, now: .seconds(1)) == .accept
        )
    }

    @Test func aNodeWithoutBlocksHasNothingToSay() throws {
        var machine = machine(0)
        #expect(
            machine.requested(through: try peer(100), isTrusted: true, now: .seconds(1)) == .accept
        )
        #expect(machine.deadline == nil)
    }

    @Test func aThousandNodesAnswerAFewTimes() throws {
        // All nodes receive the request at once, and an answer a tenth of a second after it was published.
        var due: [Duration] = []
        for seed in 0..<1_000 as Range<UInt64> {
            var machine = HeightDiscovery(best: 5, emptyBlockInterval: .zero, seed: seed)
            _ = machine.requested(through: try peer(100), isTrusted: true, now: .zero)
            if let deadline = machine.deadline { due.append(deadline) }
        }
        let first = due.min() ?? .zero
        #expect(due.count == 1_000)
        #expect(due.filter { $0 <= first + .milliseconds(100) }.count < 60)
    }
}
