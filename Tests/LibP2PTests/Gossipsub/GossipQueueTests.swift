import Bytes
import Testing

@testable import LibP2P

@Suite struct GossipQueueTests {
    private func bytes(_ mark: UInt8, _ count: Int = 1) -> SharedBytes {
        SharedBytes([UInt8](repeating: mark, count: count))
    }

    private func drain(_ queue: inout GossipQueue) -> [UInt8] {
        var marks: [UInt8] = []
        while let next = queue.popFirst() { marks.append(next[0]) }
        return marks
    }

    @Test func whatIsMoreUrgentGoesFirst() {
        var queue = GossipQueue()
        let order: [(GossipPriority, UInt8)] = [
            (.offered, 9), (.relayed, 5), (.requested, 7), (.control, 1), (.own, 3), (.relayed, 6),
            (.control, 2), (.own, 4), (.requested, 8),
        ]
        for (priority, mark) in order { _ = queue.push(bytes(mark), priority) }
        #expect(drain(&queue) == [1, 2, 3, 4, 5, 6, 7, 8, 9])
    }

    @Test func whatIsLessUrgentMakesRoom() {
        var queue = GossipQueue()
        let part = GossipQueue.capacity / 4
        for mark: UInt8 in 1...2 {
            #expect(queue.push(bytes(mark, part), .requested) == .queued(displaced: 0))
        }
        for mark: UInt8 in 3...4 { #expect(queue.push(bytes(mark, part), .offered) == .queued(displaced: 0)) }
        #expect(queue.push(bytes(5, part), .offered) == .full)
        #expect(queue.push(bytes(6, part), .relayed) == .queued(displaced: 1))
        #expect(queue.push(bytes(7, part * 2), .own) == .queued(displaced: 2))
        #expect(queue.push(bytes(8, part), .relayed) == .queued(displaced: 1))
        #expect(queue.push(bytes(9, part), .relayed) == .full)
        #expect(drain(&queue) == [7, 6, 8])
        // The displaced and removed RPCs are no longer counted.
        #expect(queue.push(bytes(10, GossipQueue.capacity), .offered) == .queued(displaced: 0))
    }

    @Test func controlHasRoomOfItsOwn() {
        var queue = GossipQueue()
        #expect(queue.push(bytes(1, GossipQueue.capacity), .own) == .queued(displaced: 0))
        #expect(queue.push(bytes(2, GossipQueue.controlCapacity), .control) == .queued(displaced: 0))
        #expect(queue.push(bytes(3), .control) == .full)
        #expect(drain(&queue) == [2, 1])
    }

    @Test func messagesAreTakenBack() {
        var queue = GossipQueue()
        for mark: UInt8 in 1...4 {
            _ = queue.push(bytes(mark), mark % 2 == 0 ? .own : .relayed, message: [mark])
        }
        _ = queue.push(bytes(5), .offered)
        queue.remove([[2], [3], [9]])
        #expect(drain(&queue) == [4, 1, 5])
    }

    @Test func aPeerThatSendsTooMuchIsNotReadFromForAWhile() {
        var budget = GossipBudget()
        for _ in 1..<GossipBudget.rpcs {
            #expect(budget.spend(1, entries: 1, now: .milliseconds(1_200), interval: .seconds(1)) == .zero)
        }
        #expect(
            budget.spend(1, entries: 1, now: .milliseconds(1_700), interval: .seconds(1))
                == .milliseconds(500))
        #expect(budget.spend(1, entries: 1, now: .milliseconds(2_200), interval: .seconds(1)) == .zero)
        #expect(
            budget.spend(GossipBudget.bytes, entries: 1, now: .milliseconds(2_300), interval: .seconds(1))
                == .milliseconds(900))
        #expect(
            budget.spend(9, entries: GossipBudget.entries, now: .milliseconds(3_300), interval: .seconds(1))
                == .seconds(1))
        // Ignored bytes count more.
        let most = GossipBudget.bytes / GossipBudget.ignoredCost
        let late = Duration.seconds(10)
        #expect(
            budget.spend(most - 1, entries: 0, isIgnored: true, now: late, interval: .seconds(1)) == .zero)
        #expect(budget.spend(1, entries: 0, isIgnored: true, now: late, interval: .seconds(1)) == .seconds(1))
    }
}
