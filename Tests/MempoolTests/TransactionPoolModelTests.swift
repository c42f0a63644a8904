import Chain
import Crypto
import Testing

@testable import Mempool

/// The pool compared with a plain list that does the same slowly, over generated sequences of events.
@Suite struct TransactionPoolModelTests {
    struct Generator {
        var state: UInt64
        mutating func below(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func agreesWithAPlainList(seed: UInt64) throws {
        var transactions: [Transaction] = []
        for sender in 0..<4 as Range<UInt8> {
            for nonce in 1...12 as ClosedRange<UInt64> {
                for salt in 0..<2 as Range<UInt8> {
                    transactions.append(try TransactionPoolTests.transaction(sender, nonce, salt: salt))
                }
            }
        }
        var generator = Generator(state: seed)
        var limits = MempoolLimits()
        limits.count = 20
        limits.perSender = 8
        limits.lifetime = .seconds(400)
        var pool = TransactionPool(limits)
        var nonces: [UInt8: UInt64] = [0: 0, 1: 0, 2: 0, 3: 0]
        var model: [(transaction: Transaction, sender: UInt8)] = []
        var now = Duration.zero

        for _ in 0..<600 {
            now += .seconds(Int(generator.below(5)))
            switch generator.below(10) {
            case 0..<7:
                let index = Int(generator.below(UInt64(transactions.count)))
                let transaction = transactions[index]
                let sender = UInt8(index / 24)
                let nonce = nonces[sender] ?? 0
                let evicted = try? pool.removed { try $0.admit(transaction, accountNonce: nonce, now: now) }
                if let evicted {
                    model.removeAll { evicted.contains($0.transaction.id) }
                    model.append((transaction, sender))
                }
            case 7:
                let mined = Array(pool.propose(maxBytes: .max).prefix(Int(generator.below(6))))
                var changed: [(account: AccountID, nonce: UInt64)] = []
                for transaction in mined {
                    let sender = try #require(model.first { $0.transaction == transaction }).sender
                    #expect(transaction.body.nonce == (nonces[sender] ?? 0) + 1)
                    nonces[sender] = transaction.body.nonce
                    changed.append((TransactionPoolTests.account(sender), transaction.body.nonce))
                }
                #expect(pool.removed { $0.commit(mined.map(\.id), nonces: changed) } == Set(mined.map(\.id)))
                model.removeAll { entry in mined.contains(entry.transaction) }
            case 8:
                let expired = pool.removed { $0.expire(now: now) }
                model.removeAll { expired.contains($0.transaction.id) }
            default:
                if let victim = model.first { pool.remove([victim.transaction.id]) }
                model = Array(model.dropFirst())
            }
            try pool.checkInvariants()
            #expect(pool.count == model.count)
            #expect(pool.bytes == model.reduce(0) { $0 + $1.transaction.bytes.count })
            for entry in model { #expect(pool.transaction(entry.transaction.id) == entry.transaction) }
            // Ready transactions are exactly those that follow each account's nonce without a gap, in the order of
            // nonces.
            var ready: [UInt8: UInt64] = nonces
            for transaction in pool.propose(maxBytes: .max) {
                let sender = try #require(model.first { $0.transaction == transaction }).sender
                #expect(transaction.body.nonce == (ready[sender] ?? 0) + 1)
                ready[sender] = transaction.body.nonce
            }
            for (sender, nonce) in ready.sorted(by: { $0.key < $1.key }) {
                #expect(!model.contains { $0.sender == sender && $0.transaction.body.nonce == nonce + 1 })
            }
            #expect(pool.propose(maxBytes: .max).count == pool.readyCount)
            if ![0, 1, 2, 3].allSatisfy({ (nonces[$0] ?? 0) < 11 }) { break }
        }
    }
}
