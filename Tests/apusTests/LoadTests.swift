import Arguments
import Chain
import Crypto
import Metrics
import Testing

@testable import apus

@Suite struct LoadTests {
    private static func ids(_ count: Int) -> [Hash] { (0..<count).map { Hash.sha256(of: [UInt8($0)]) } }
    private static let ok = TransactionResult(code: 0, gas: 0, log: "")

    /// Refused nonces are used again, lowest first, before new ones.
    @Test func noncesLeaveNoGap() {
        var nonces = LoadNonces(after: 4)
        #expect((0..<5).map { _ in nonces.take() } == [5, 6, 7, 8, 9])
        nonces.giveBack([8])
        nonces.giveBack([6])
        #expect((0..<4).map { _ in nonces.take() } == [6, 8, 10, 11])
    }

    @Test func latencyCountsFromWhenATransactionWasDue() {
        let ledger = LoadLedger()
        let ids = Self.ids(3)
        // All are sent late, together.
        let sent = ids.enumerated().map { (id: $1, due: Duration.seconds($0)) }
        ledger.sending(sent, at: .seconds(5))
        ledger.committed(ids + [.zero], Array(repeating: Self.ok, count: 4), at: .seconds(6))
        #expect(ledger.open == 0)
        #expect(ledger.totals.committed == 3 && ledger.totals.errors.isEmpty)
        let latency = ledger.latency.snapshot()
        #expect(latency.maximum == 6_000_000_000 && latency.minimum == 4_000_000_000 && latency.count == 3)
        #expect(ledger.delay.snapshot().maximum == 5_000_000_000)
        // A block that is read again changes nothing.
        ledger.committed(ids, Array(repeating: Self.ok, count: 3), at: .seconds(9))
        #expect(ledger.totals.committed == 3 && ledger.totals.lastCommit == .seconds(6))
    }

    @Test func eachTransactionHasOneFate() {
        let ledger = LoadLedger()
        let ids = Self.ids(5)
        ledger.sending(ids.map { ($0, .zero) }, at: .zero)
        ledger.refused(ids[0], "refused: mempool full")
        ledger.refused(ids[0], "refused: mempool full")
        ledger.doubt([ids[1], ids[2]], "no answer from the node")
        ledger.committed(
            [ids[1], ids[3]], [Self.ok, TransactionResult(code: 9, gas: 0, log: "no")], at: .seconds(1))
        ledger.failed(7, "not sent in time")
        ledger.failed(0, "never")
        #expect(ledger.open == 2)
        ledger.giveUp(dueBefore: .zero)
        #expect(ledger.open == 2)
        ledger.giveUp(dueBefore: .seconds(1))
        #expect(ledger.open == 0)
        #expect(ledger.totals.committed == 1)
        #expect(
            ledger.totals.errors == [
                "refused: mempool full": 1, "no answer from the node": 1, "not committed in time": 1,
                "committed, but failed: invalid sender": 1, "not sent in time": 7,
            ])
        // One that was given up and then committed remains an error.
        ledger.committed([ids[4]], [Self.ok], at: .seconds(9))
        #expect(ledger.totals.committed == 1)
    }

    @Test func textsDifferAndHaveOneLength() {
        let text = LoadText(length: 40)
        #expect(Set((0..<40).map(text.part)).count > 30)
        #expect((0..<100).allSatisfy { text.part($0).utf8.count == 40 })
        #expect(LoadText(length: 0).part(7) == "")
    }

    @Test func ratesRiseByAQuarter() {
        #expect(LoadCommand.rate(ofStep: 0, from: 100) == 100)
        #expect(LoadCommand.rate(ofStep: 2, from: 100) == 156.25)
    }
}
