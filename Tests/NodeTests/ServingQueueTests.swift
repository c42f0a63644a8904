import Multiformats
import Testing

@testable import Node

/// Who is served blocks, in which order, and who is told to come back.
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
        _ number: Int, _ rank: ServingQueue.Rank = .other, now: Duration = .zero
    ) -> ServingQueue.Entry {
        state.tickets += 1
        return state.queue.enter(Self.peer(number), rank, ticket: tickets, now: now)
    }

    private func leave(_ number: Int) -> [Int] { state.queue.leave(Self.peer(number)) }

    private func giveUp(_ ticket: Int) -> Bool { state.queue.giveUp(ticket) }

    @Test func aPeerHasItsShareAndWaitsForMore() {
        for _ in 0..<ServingQueue.placesPerPeer { #expect(enter(1) == .serve) }
        for _ in 0..<ServingQueue.waitingPerPeer { #expect(enter(1) == .wait) }
        #expect(enter(1) == .refuse)
        #expect(enter(2) == .serve, "another is not kept waiting by that")
        #expect(leave(1) == [ServingQueue.placesPerPeer + 1])
    }

    @Test func membersFindAPlaceAmongCrowds() {
        for number in 0..<ServingQueue.openPlaces { #expect(enter(number) == .serve) }
        #expect(enter(90) == .wait)
        for _ in 0..<ServingQueue.placesPerPeer { #expect(enter(100, .member) == .serve) }
        #expect(queue.activeCount == ServingQueue.places)
        #expect(enter(101, .member) == .wait)
        let member = tickets
        #expect(leave(0) == [member], "before who has waited for longer")
    }

    @Test func turnsGoRound() {
        for _ in 0..<ServingQueue.placesPerPeer { #expect(enter(1) == .serve) }
        for number in 2..<ServingQueue.openPlaces - 2 { #expect(enter(number) == .serve) }
        #expect(queue.activeCount == ServingQueue.openPlaces)
        #expect(enter(1) == .wait)
        #expect(enter(50) == .wait)
        #expect(leave(1) == [tickets], "who has had no turn comes first")
        #expect(leave(2) == [tickets - 1])
    }

    @Test func aTurnEndsForThoseWhoWait() {
        for number in 0..<ServingQueue.openPlaces { #expect(enter(number) == .serve) }
        #expect(!queue.shouldYield(Self.peer(0), now: .seconds(9)))
        #expect(enter(50, now: .seconds(9)) == .wait)
        #expect(!queue.shouldYield(Self.peer(0), now: .seconds(9)))
        #expect(queue.shouldYield(Self.peer(0), now: .seconds(9) + ServingQueue.fairWait))
        #expect(giveUp(tickets))
        #expect(!giveUp(tickets))
        #expect(!queue.shouldYield(Self.peer(0), now: .seconds(10)))
    }

    @Test func whatWaitsIsBoundedAndNothingIsKept() {
        for number in 0..<ServingQueue.openPlaces { #expect(enter(number) == .serve) }
        for number in 0..<ServingQueue.waiting { #expect(enter(100 + number) == .wait) }
        #expect(enter(999) == .refuse)
        #expect(queue.waitingCount == ServingQueue.waiting)
        for number in 0..<ServingQueue.openPlaces { _ = leave(number) }
        for number in 0..<ServingQueue.waiting { _ = leave(100 + number) }
        #expect(queue.activeCount == 0)
        #expect(queue.waitingCount == 0)
        #expect(leave(1) == [])
    }
}
