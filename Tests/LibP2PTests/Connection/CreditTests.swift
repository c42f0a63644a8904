import Testing

@testable import LibP2P

/// The limits on the work that a peer's messages may cause.
@Suite struct CreditTests {
    @Test func messagesInStreamsHaveATenthOfTheTime() {
        var share = WorkShare()
        // Time in milliseconds, work, and the resulting wait in milliseconds.
        let table: [(Int, Int, Int?)] = [
            (5, 99, nil), (5, 1, 1), (6, 99, nil), (6, 1_000, 10), (10, 0, 6), (16, 0, nil), (17, 50, nil),
            (17, 60, 1), (5_000, 0, nil), (5_000, -5, nil), (5_000, Int.max, 10_485), (15_490, 0, nil),
        ]
        for (at, work, expected) in table {
            let wait = share.spend(work, now: .milliseconds(at))
            #expect(wait == expected.map { .milliseconds($0) }, "\(work) at \(at)")
        }
    }

    @Test func creditComesBack() {
        var credit = MessageCredit(perSecond: 1_000, now: .zero)
        // Time in seconds, cost, and the resulting verdict.
        let table: [(Int, Int, MessageCredit.Verdict)] = [
            (0, 1_999, .granted), (0, 1, .paused(.milliseconds(50))), (1, 500, .granted),
            (10, -9_000, .granted),
            (10, 2_500, .paused(.milliseconds(550))), (13, 2_500, .paused(.milliseconds(550))),
            (15, 2_000, .flooding), (40, 0, .granted), (40, 2_000, .paused(.milliseconds(50))),
        ]
        for (second, cost, expected) in table {
            let verdict = credit.spend(cost, now: .seconds(second))
            #expect(verdict == expected, "\(cost) at \(second)")
        }
    }
}
