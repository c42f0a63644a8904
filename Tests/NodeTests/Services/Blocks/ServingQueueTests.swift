import Multiformats
import Peers
import TestSupport
import Testing

@testable import Node

/// Which peers are served blocks, in which order, which are told "busy", and which lose their turns.
@Suite struct ServingQueueTests {
    private static func peer(_ number: Int) -> PeerID { PeerID.numbered(number) }

    /// The queue, which expectations may change.
    private final class State {
        var queue = ServingQueue()
        var tickets = 0
    }

    private let state = State()
    private var queue: ServingQueue { state.queue }
    private var tickets: Int { state.tickets }

    private func enter(
        _ number: Int, _ rank: PeerRank = .stranger, now: Duration = .zero
    ) -> ServingQueue.Entry {
        state.tickets += 1
        return state.queue.enter(Self.peer(number), rank, ticket: tickets, now: now)
    }

    private func leave(_ ticket: Int) -> [Int] { state.queue.leave(ticket) }

    private func giveUp(_ ticket: Int) -> Bool { state.queue.giveUp(ticket) }

    /// Checks turns every quarter of a second from one time to another; each takes a constant number of bytes per
    /// second. Ends the turns that must end, and returns when and why.
    private func read(
        _ rates: [Int: Int], from start: Duration = .zero, to end: Duration, steps: Int = 1,
        isBlocked: Bool = true
    ) -> [Int: End] {
        var ends: [Int: End] = [:]
        var now = start
        while now <= end {
            let all = rates.keys.sorted().filter { ends[$0] == nil }.map { ticket in
                let taken = Int(Double(rates[ticket] ?? 0) * (now / .seconds(1))) / steps * steps
                return ServingQueue.Progress(ticket: ticket, taken: taken, isBlocked: isBlocked)
            }
            for (ticket, loss) in state.queue.look(all, now: now) { ends[ticket] = End(at: now, loss: loss) }
            now += .milliseconds(250)
        }
        return ends
    }

    private struct End: Equatable {
        let at: Duration
        let loss: ServingQueue.Loss
    }

    /// Fills all of the strangers' places; the tickets start at 1.
    private func fill() {
        for number in 0..<ServingQueue.placesPerRank { #expect(enter(number) == .serve) }
    }

    @Test(arguments: PeerRank.allCases) func aPeerHasItsShareAndWaitsForMore(_ rank: PeerRank) {
        for _ in 0..<ServingQueue.placesPerPeer { #expect(enter(1, rank) == .serve) }
        let most = ServingQueue.waiting(of: rank).peer
        for _ in 0..<most { #expect(enter(1, rank) == .wait) }
        #expect(enter(1, rank) == .refuse)
        #expect(enter(2, rank) == .serve, "another peer does not wait for that")
        #expect(leave(1) == [ServingQueue.placesPerPeer + 1])
    }

    @Test func membersFindAPlaceAmongCrowds() {
        fill()
        #expect(enter(90) == .wait)
        for number in 0..<ServingQueue.openPlaces - ServingQueue.placesPerRank {
            #expect(enter(200 + number, .chosen) == .serve, "so do chosen peers")
        }
        #expect(enter(290, .chosen) == .wait)
        for _ in 0..<ServingQueue.placesPerPeer { #expect(enter(100, .member) == .serve) }
        #expect(queue.activeCount == ServingQueue.places)
        #expect(enter(101, .member) == .wait)
        let member = tickets
        #expect(leave(1) == [member], "before peers that have waited longer")
    }

    @Test func chosenPeersLeavePlacesToStrangers() {
        for number in 0..<ServingQueue.placesPerRank { #expect(enter(number, .chosen) == .serve) }
        #expect(enter(50, .chosen) == .wait)
        for number in 0..<ServingQueue.openPlaces - ServingQueue.placesPerRank {
            #expect(enter(100 + number) == .serve)
        }
    }

    @Test func turnsGoRound() {
        for number in 1...ServingQueue.placesPerRank { #expect(enter(number) == .serve) }
        #expect(enter(1) == .wait)
        #expect(enter(50) == .wait)
        #expect(leave(1) == [tickets], "a peer without a turn so far comes first")
        #expect(leave(2) == [tickets - 1])
    }

    @Test func aStrangerHasOnePlaceWhileOthersWait() {
        fill()
        #expect(enter(1) == .wait)
        #expect(enter(50) == .wait)
        let newcomer = tickets
        #expect(leave(1) == [newcomer])
        #expect(enter(51) == .wait)
        // Only a peer that has a place waits: the two do not take the next place from each other.
        #expect(leave(3) == [tickets])
        #expect(leave(4) == [tickets - 2], "no other peer waits")
    }

    @Test func aTurnEndsForThoseWhoWait() {
        fill()
        #expect(!queue.shouldYield(1, now: .seconds(9)))
        #expect(enter(50, now: .seconds(9)) == .wait)
        #expect(!queue.shouldYield(1, now: .seconds(9)))
        #expect(queue.shouldYield(1, now: .seconds(9) + ServingQueue.fairWait))
        #expect(giveUp(tickets))
        #expect(!giveUp(tickets))
        #expect(!queue.shouldYield(1, now: .seconds(10)))
    }

    @Test func whoHasMoreThanItsPlaceGivesItBackAtOnce() {
        for number in [1, 1, 2, 2, 3, 3, 4, 4] { #expect(enter(number) == .serve) }
        #expect(enter(5) == .wait)
        #expect(queue.shouldYield(1, now: .zero))
    }

    @Test func whoDoesNotReadLosesItsTurnWhileOthersWait() {
        fill()
        #expect(enter(50) == .wait)
        // One peer reads nothing, one too little, one enough.
        let ends = read([1: 0, 2: 10 << 10, 3: 80 << 10], to: .seconds(4))
        #expect(ends == [1: End(at: .seconds(2), loss: .slow), 2: End(at: .seconds(2), loss: .slow)])
        #expect(leave(1) == [tickets])
        #expect(state.queue.noteLoss(Self.peer(0), now: .seconds(6)) == 1)
        #expect(state.queue.noteLoss(Self.peer(0), now: .seconds(8)) == 2, "in a row")
        #expect(state.queue.noteLoss(Self.peer(0), now: .seconds(200)) == 1, "forgiven after a while")
    }

    @Test func whoHasStoodStillMakesRoomAtOnce() {
        fill()
        #expect(read([1: 0], to: .seconds(20)) == [:], "no peer waits")
        #expect(enter(50, now: .seconds(20)) == .wait)
        #expect(read([1: 0], from: .seconds(20), to: .seconds(20)) == [1: End(at: .seconds(20), loss: .slow)])
    }

    @Test func toWhomNothingIsSentIsNotSlow() {
        fill()
        #expect(enter(50) == .wait)
        #expect(read([1: 0], to: .seconds(4), isBlocked: false) == [:])
    }

    @Test func whoTellsOfHalfAWindowAtATimeIsNotSlow() {
        fill()
        #expect(enter(50) == .wait)
        #expect(read([1: 70 << 10], to: .seconds(4), steps: 128 << 10) == [:])
    }

    @Test func onlyThoseCountWhoCouldTakeThePlace() {
        // A validator reads slowly, and strangers wait for places that are theirs.
        #expect(enter(100, .member) == .serve)
        let member = tickets
        fill()
        for number in 50..<60 { #expect(enter(number) == .wait) }
        #expect(read([member: 0], to: .seconds(20)) == [:])
        #expect(!queue.shouldYield(member, now: .seconds(20)))
        // Other members take all places, and one more waits.
        for number in 0..<4 * ServingQueue.placesPerPeer { _ = enter(101 + number / 4, .member) }
        #expect(read([member: 0], from: .seconds(20), to: .seconds(20))[member]?.loss == .slow)
    }

    @Test func theTurnsOfAPeerCountTogether() {
        // Four streams share a link of 100 KiB per second.
        for _ in 0..<ServingQueue.placesPerPeer { #expect(enter(1, .chosen) == .serve) }
        for _ in 0..<ServingQueue.placesPerPeer { #expect(enter(2, .chosen) == .serve) }
        #expect(enter(3, .chosen) == .wait)
        let rates = Dictionary(uniqueKeysWithValues: (1...4).map { ($0, 25 << 10) })
        #expect(read(rates, to: .seconds(30)) == [:])
    }

    @Test func aTurnOfAStrangerIsFasterTheLongerOthersWait() {
        fill()
        #expect(enter(50) == .wait)
        var rates = Dictionary(uniqueKeysWithValues: (1...7).map { ($0, 70 << 10) })
        rates[8] = 10 << 20
        let ends = read(rates, to: .seconds(30))
        #expect((1...7).allSatisfy { ends[$0] == End(at: .seconds(5), loss: .late) }, "\(ends)")
        #expect(ends[8] == nil)
        // A chosen peer keeps its place.
        let state = State()
        for number in 0..<8 {
            _ = state.queue.enter(Self.peer(number), .chosen, ticket: number, now: .zero)
        }
        #expect(state.queue.enter(Self.peer(50), .chosen, ticket: 50, now: .zero) == .wait)
        var lost = 0
        for quarter in 0...120 {
            let all = (0..<8).map {
                ServingQueue.Progress(ticket: $0, taken: quarter * (20 << 10), isBlocked: true)
            }
            lost += state.queue.look(all, now: .milliseconds(250 * quarter)).count
        }
        #expect(lost == 0)
    }

    @Test func whoReadsOneOfItsStreamsGivesTheOthersBack() {
        for number in [1, 1, 2, 2, 3, 3, 4, 4] { #expect(enter(number) == .serve) }
        #expect(enter(5) == .wait)
        let ends = read([1: 0, 2: 100 << 10], to: .milliseconds(4_500))
        #expect(ends == [1: End(at: .seconds(4), loss: .late)])
    }

    @Test func whoReadsNothingForLongLosesItsTurnThoughNobodyWaits() {
        #expect(enter(1) == .serve)
        #expect(enter(2) == .serve)
        let ends = read([1: 0, 2: 1 << 10], to: .seconds(40))
        #expect(ends == [1: End(at: ServingQueue.longestStill, loss: .still)])
    }

    @Test func whatWaitsIsBoundedAndNothingIsKept() {
        fill()
        let most = ServingQueue.waiting(of: .stranger).all
        for number in 0..<most { #expect(enter(100 + number) == .wait) }
        #expect(enter(999) == .refuse)
        #expect(queue.waitingCount == most)
        for number in 0..<ServingQueue.places { #expect(enter(2_000 + number, .member) != .refuse) }
        var open = Array(1...tickets)
        while !open.isEmpty {
            open.removeAll {
                _ = leave($0); return true
            }
        }
        for ticket in 1...tickets { _ = leave(ticket) }
        #expect(queue.activeCount == 0)
        #expect(queue.waitingCount == 0)
        #expect(leave(1) == [])
    }
}
