import Multiformats
import Testing

@testable import Node

/// Who is served blocks, in which order, who is told to come back, and who loses its turn.
@Suite struct ServingQueueTests {
    private static func peer(_ number: Int) -> PeerID { PeerScript.peer(number) }

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

    private func takesEnough(_ ticket: Int, _ taken: Int, _ isBlocked: Bool = true, at now: Duration) -> Bool
    {
        state.queue.takesEnough(ticket, taken: taken, isBlocked: isBlocked, now: now)
    }

    /// Strangers take all places that they can have; their tickets are 1 and so on.
    private func fill() {
        for number in 0..<ServingQueue.placesPerRank { #expect(enter(number) == .serve) }
    }

    @Test(arguments: PeerRank.allCases) func aPeerHasItsShareAndWaitsForMore(_ rank: PeerRank) {
        for _ in 0..<ServingQueue.placesPerPeer { #expect(enter(1, rank) == .serve) }
        let most = ServingQueue.waiting(of: rank).peer
        for _ in 0..<most { #expect(enter(1, rank) == .wait) }
        #expect(enter(1, rank) == .refuse)
        #expect(enter(2, rank) == .serve, "another is not kept waiting by that")
        #expect(leave(1) == [ServingQueue.placesPerPeer + 1])
    }

    @Test func membersFindAPlaceAmongCrowds() {
        fill()
        #expect(enter(90) == .wait)
        for number in 0..<ServingQueue.openPlaces - ServingQueue.placesPerRank {
            #expect(enter(200 + number, .chosen) == .serve, "so do those whom the node has chosen")
        }
        #expect(enter(290, .chosen) == .wait)
        for _ in 0..<ServingQueue.placesPerPeer { #expect(enter(100, .member) == .serve) }
        #expect(queue.activeCount == ServingQueue.places)
        #expect(enter(101, .member) == .wait)
        let member = tickets
        #expect(leave(1) == [member], "before who has waited for longer")
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
        #expect(leave(1) == [tickets], "who has had no turn comes first")
        #expect(leave(2) == [tickets - 1])
    }

    @Test func aStrangerHasOnePlaceWhileOthersWait() {
        fill()
        #expect(enter(1) == .wait)
        #expect(enter(50) == .wait)
        let newcomer = tickets
        #expect(leave(1) == [newcomer])
        #expect(enter(51) == .wait)
        // The one that waits is who has a place already: neither of them takes the next one from the other.
        #expect(leave(3) == [tickets])
        #expect(leave(4) == [tickets - 2], "nobody else waits any more")
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
        for time in 0..<20 { #expect(takesEnough(1, 0, at: .milliseconds(250 * time)), "nobody waits") }
        #expect(enter(50, now: .seconds(5)) == .wait)
        // One reads nothing, one too little, one enough; and to one nothing is being sent.
        var lost: [Int: Duration] = [:]
        for time in 0..<16 {
            let now = Duration.seconds(5) + .milliseconds(250 * time)
            for (ticket, rate) in [(1, 0), (2, 10 << 10), (3, 64 << 10)] where lost[ticket] == nil {
                if !takesEnough(ticket, time * rate / 4, at: now) { lost[ticket] = now }
            }
            #expect(takesEnough(4, 0, false, at: now))
        }
        #expect(lost[1] == .seconds(6))
        #expect(lost[2] == .seconds(6))
        #expect(lost[3] == nil)
        #expect(leave(1) == [tickets])
        #expect(state.queue.noteLoss(Self.peer(0), now: .seconds(6)) == 1)
        #expect(state.queue.noteLoss(Self.peer(0), now: .seconds(8)) == 2, "in a row")
        #expect(state.queue.noteLoss(Self.peer(0), now: .seconds(200)) == 1, "and once again after a while")
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
