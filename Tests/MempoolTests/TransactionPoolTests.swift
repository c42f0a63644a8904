import Bytes
import Chain
import Crypto
import TestSupport
import Testing

@testable import Mempool

@Suite struct TransactionPoolTests {
    static func key(_ seed: UInt8) -> PrivateKey {
        do { return try TestChain.key(seed) } catch {
            preconditionFailure("\(error)")
        }
    }

    /// Returns a transaction; `salt` makes a different one with the same sender and nonce.
    static func transaction(
        _ sender: UInt8, _ nonce: UInt64, salt: UInt8 = 0, size: Int = 0, fee: Amount = 0
    ) throws -> Transaction {
        let payload = SharedBytes([UInt8](repeating: salt, count: size + 1))
        let body = TransactionBody(
            payload: payload, payloadType: "test", fee: fee, nonce: nonce, chainID: "c")
        return try Transaction.signed(body, by: key(sender))
    }

    static func account(_ sender: UInt8) -> AccountID { AccountID(key(sender).publicKey) }

    private func transaction(_ sender: UInt8, _ nonce: UInt64, salt: UInt8 = 0, size: Int = 0) throws
        -> Transaction
    {
        try Self.transaction(sender, nonce, salt: salt, size: size)
    }

    /// Gapped transactions go first, then the youngest.
    @Test func aLowerLimitEvicts() throws {
        var pool = TransactionPool()
        let ready = try (1...4).map { try transaction(1, $0, size: 10_000) }
        for transaction in ready { try pool.admit(transaction, accountNonce: 0, now: .zero) }
        try pool.admit(try transaction(2, 9, size: 10_000), accountNonce: 0, now: .zero)
        pool.limit(toBytes: 45_000)
        #expect(pool.count == 4 && pool.propose(maxBytes: .max) == ready)
        pool.limit(toBytes: 25_000)
        #expect(pool.propose(maxBytes: .max) == Array(ready[..<2]))
        try pool.checkInvariants()
        #expect(throws: MempoolError.full) { try pool.admit(ready[2], accountNonce: 0, now: .zero) }
        pool.limit(toBytes: 1_000_000)
        try pool.admit(ready[2], accountNonce: 0, now: .zero)
        #expect(pool.propose(maxBytes: .max) == Array(ready[..<3]))
        pool.limit(toBytes: 0)
        #expect(pool.count == 0 && pool.bytes == 0)
        try pool.checkInvariants()
    }

    @Test func proposalFollowsNoncesAndArrival() throws {
        var pool = TransactionPool()
        let a1 = try transaction(1, 1)
        let a2 = try transaction(1, 2)
        let a3 = try transaction(1, 3)
        let b8 = try transaction(2, 8)
        for gapped in [a2, a3] {
            try pool.admit(gapped, accountNonce: 0, now: .zero)
            #expect(pool.readyCount == 0)
        }
        try pool.admit(b8, accountNonce: 7, now: .zero)
        #expect(pool.propose(maxBytes: .max) == [b8])
        #expect(pool.nextNonce(Self.account(1)) == 1)
        try pool.admit(a1, accountNonce: 0, now: .zero)
        #expect(pool.propose(maxBytes: .max) == [b8, a1, a2, a3])
        #expect(pool.propose(maxBytes: .max, maxCount: 2) == [b8, a1])
        #expect(pool.nextNonce(Self.account(1)) == 4)
        #expect(pool.count == 4)
        #expect(pool.readyCount == 4)
        #expect(pool.bytes == [a1, a2, a3, b8].reduce(0) { $0 + $1.bytes.count })
    }

    @Test func proposalKeepsWithinBytesWithoutSkippingANonce() throws {
        var pool = TransactionPool()
        let small = try transaction(1, 1)
        let large = try transaction(1, 2, size: 1000)
        let after = try transaction(1, 3)
        let other = try transaction(2, 1)
        for next in [small, large, after, other] { try pool.admit(next, accountNonce: 0, now: .zero) }
        #expect(pool.propose(maxBytes: small.bytes.count * 3) == [small, other])
        #expect(pool.propose(maxBytes: small.bytes.count - 1).isEmpty)
        #expect(pool.propose(maxBytes: .max) == [small, large, after, other])
    }

    @Test func refusals() throws {
        var limits = MempoolLimits()
        limits.perSender = 3
        limits.transactionBytes = 500
        var pool = TransactionPool(limits)
        let first = try transaction(1, 6)
        try pool.admit(first, accountNonce: 5, now: .zero)
        #expect(throws: MempoolError.duplicate) { try pool.admit(first, accountNonce: 5, now: .zero) }
        #expect(throws: MempoolError.nonceTaken) {
            try pool.admit(transaction(1, 6, salt: 1), accountNonce: 5, now: .zero)
        }
        #expect(throws: MempoolError.nonceTooLow(expected: 6)) {
            try pool.admit(transaction(1, 5), accountNonce: 5, now: .zero)
        }
        #expect(throws: MempoolError.nonceTooHigh(limit: 8)) {
            try pool.admit(transaction(1, 9), accountNonce: 5, now: .zero)
        }
        #expect(throws: MempoolError.self) {
            try pool.admit(transaction(1, 7, size: 500), accountNonce: 5, now: .zero)
        }
        try pool.admit(transaction(1, .max), accountNonce: .max - 1, now: .zero)
        #expect(pool.count == 1, "the account's new nonce drops what was used")
        #expect(throws: MempoolError.nonceTooLow(expected: 0)) {
            try pool.admit(transaction(1, 7), accountNonce: .max, now: .zero)
        }
    }

    @Test func commitRemovesMinedAndWorthless() throws {
        var pool = TransactionPool()
        let mined = try transaction(1, 1)
        let rival = try transaction(2, 1)
        let later = try transaction(1, 2)
        let rivalsNext = try transaction(2, 2)
        for next in [mined, rival, later, rivalsNext] {
            try pool.admit(next, accountNonce: 0, now: .zero)
        }
        let foreign = try transaction(2, 1, salt: 9)
        let removed = pool.removed {
            $0.commit(
                [mined.id, foreign.id],
                nonces: [(Self.account(1), 1), (Self.account(2), 1), (Self.account(3), 4)])
        }
        #expect(removed == [mined.id, rival.id])
        #expect(pool.propose(maxBytes: .max) == [later, rivalsNext])
        #expect(!pool.contains(mined.id))
        pool.commit([later.id, rivalsNext.id], nonces: [(Self.account(1), 2), (Self.account(2), 2)])
        #expect(pool.count == 0)
        #expect(pool.bytes == 0)
        #expect(pool.nextDeadline == nil)
    }

    @Test func minedWithoutEffectMakesLaterOnesWait() throws {
        var pool = TransactionPool()
        let first = try transaction(1, 1)
        let second = try transaction(1, 2)
        for next in [first, second] { try pool.admit(next, accountNonce: 0, now: .zero) }
        pool.commit([first.id], nonces: [])
        #expect(pool.count == 1)
        #expect(pool.propose(maxBytes: .max).isEmpty)
        let again = try transaction(1, 1, salt: 1)
        try pool.admit(again, accountNonce: 0, now: .zero)
        #expect(pool.propose(maxBytes: .max) == [again, second])
    }

    @Test func fullPoolTakesReadyForYoungestGapped() throws {
        var limits = MempoolLimits()
        limits.count = 3
        var pool = TransactionPool(limits)
        let ready = try transaction(1, 1)
        let oldGap = try transaction(2, 5)
        let youngGap = try transaction(3, 5)
        for next in [ready, oldGap, youngGap] { try pool.admit(next, accountNonce: 0, now: .zero) }
        #expect(throws: MempoolError.fullForGapped) {
            try pool.admit(transaction(4, 5), accountNonce: 0, now: .zero)
        }
        for (nonce, evicted) in [(1, youngGap), (2, oldGap)] as [(UInt64, Transaction)] {
            let next = try transaction(4, nonce)
            let removed = try pool.removed { try $0.admit(next, accountNonce: 0, now: .zero) }
            #expect(removed == [evicted.id])
        }
        let own = try transaction(4, 3)
        #expect(throws: MempoolError.full) { try pool.admit(own, accountNonce: 0, now: .zero) }
        #expect(pool.refusal(of: own) == .full)
        #expect(pool.count == 3)
    }

    @Test func bytesAreBounded() throws {
        let sample = try transaction(1, 1, size: 100)
        var limits = MempoolLimits()
        limits.bytes = sample.bytes.count * 2 + 10
        var pool = TransactionPool(limits)
        try pool.admit(sample, accountNonce: 0, now: .zero)
        let gapped = try transaction(2, 3, size: 100)
        try pool.admit(gapped, accountNonce: 0, now: .zero)
        #expect(throws: MempoolError.fullForGapped) {
            try pool.admit(transaction(3, 3), accountNonce: 0, now: .zero)
        }
        #expect(throws: MempoolError.full) {
            try pool.admit(transaction(3, 1, size: 400), accountNonce: 0, now: .zero)
        }
        #expect(pool.count == 2, "nothing is evicted for what does not fit anyway")
        try pool.admit(transaction(3, 1, size: 100), accountNonce: 0, now: .zero)
        #expect(pool.count == 2 && !pool.contains(gapped.id))
    }

    // MARK: Who yields

    /// A pool of 300 transactions that three senders have filled.
    private func filled(fees: [Amount] = [0, 0, 0]) throws -> TransactionPool {
        var limits = MempoolLimits()
        limits.count = 300
        var pool = TransactionPool(limits)
        for nonce in 1...100 as ClosedRange<UInt64> {
            for (index, fee) in fees.enumerated() {
                try pool.admit(
                    Self.transaction(UInt8(index + 1), nonce, fee: fee), accountNonce: 0, balance: 1_000,
                    now: .seconds(Int(nonce)))
            }
        }
        return pool
    }

    @Test func threeSendersDoNotFillItForEverybody() throws {
        var pool = try filled()
        #expect(pool.room == 0)
        // Each of the three yields in turn, from its end, and none of its others stop being ready.
        let new = try (1...75).map { try transaction(4, $0) }
        for next in new {
            #expect(pool.refusal(of: next) == nil)
            try pool.admit(next, accountNonce: 0, now: .seconds(1_000))
            try pool.checkInvariants()
        }
        #expect(pool.readyCount == 300)
        for sender in 1...3 as ClosedRange<UInt8> {
            #expect(pool.nextNonce(Self.account(sender)) == 76)
        }
        #expect(pool.takeLosses().allSatisfy { $0.reason == .crowdedOut && !$0.isOwn })
        let more = try transaction(4, 76)
        #expect(pool.refusal(of: more) == .full)
        #expect(throws: MempoolError.full) { try pool.admit(more, accountNonce: 0, now: .seconds(1_000)) }
        #expect(pool.refusal(of: try transaction(4, 90)) == .fullForGapped)
        #expect(pool.takeLosses() == [], "a refusal costs nobody anything")
    }

    /// Whoever keeps within a hundredth loses nothing, however many others come and whatever they pay.
    @Test func nobodyPushesOutWhoKeepsWithinItsShare() throws {
        var limits = MempoolLimits()
        limits.count = 300
        var pool = TransactionPool(limits)
        let modest = try (1...3).map { try transaction(1, $0) }
        for next in modest { try pool.admit(next, accountNonce: 0, balance: 1_000, now: .zero) }
        for sender in 2...200 as ClosedRange<UInt8> {
            for nonce in 1...3 as ClosedRange<UInt64> {
                try? pool.admit(
                    Self.transaction(sender, nonce, fee: 1_000), accountNonce: 0, balance: 1_000, now: .zero)
            }
        }
        try pool.checkInvariants()
        #expect(pool.count == 300)
        #expect(pool.large.isEmpty && pool.takeLosses().isEmpty)
        #expect(modest.allSatisfy { pool.contains($0.id) })
    }

    /// Among senders that hold about as much, the lowest fee yields first; where transactions are free, the youngest.
    @Test(arguments: [true, false]) func feesDecideAmongAlike(isCharged: Bool) throws {
        var pool = try filled(fees: [5, 3, 9])
        let new = try Self.transaction(4, 1)
        try pool.admit(new, accountNonce: 0, balance: isCharged ? 1_000 : nil, now: .seconds(1_000))
        let loser = try Self.transaction(isCharged ? 2 : 1, 100, fee: isCharged ? 3 : 5)
        #expect(pool.takeLosses() == [Loss(id: loser.id, isOwn: false, reason: .crowdedOut)])
    }

    /// A fee does not help whoever holds far more than the others.
    @Test func whoHoldsFarMoreYieldsWhateverItPays() throws {
        var limits = MempoolLimits()
        limits.count = 300
        var pool = TransactionPool(limits)
        for nonce in 1...250 as ClosedRange<UInt64> {
            try pool.admit(
                Self.transaction(1, nonce, fee: 900), accountNonce: 0, balance: 1_000, now: .zero)
        }
        for nonce in 1...50 as ClosedRange<UInt64> {
            try pool.admit(Self.transaction(2, nonce), accountNonce: 0, balance: 1_000, now: .zero)
        }
        try pool.admit(Self.transaction(3, 1), accountNonce: 0, balance: 1_000, now: .zero)
        #expect(pool.nextNonce(Self.account(1)) == 250 && pool.nextNonce(Self.account(2)) == 51)
    }

    /// A long transaction takes the place of many short ones, or of none.
    @Test func bytesYieldToo() throws {
        let sample = try transaction(1, 1, size: 1_000)
        var limits = MempoolLimits()
        limits.bytes = sample.bytes.count * 100
        var pool = TransactionPool(limits)
        for nonce in 1...100 as ClosedRange<UInt64> {
            try pool.admit(transaction(1, nonce, size: 1_000), accountNonce: 0, now: .zero)
        }
        let long = try transaction(2, 1, size: 20_000)
        try pool.admit(long, accountNonce: 0, now: .zero)
        try pool.checkInvariants()
        #expect(pool.contains(long.id))
        #expect((80...85).contains(pool.readyCount), "\(pool.readyCount)")
        _ = pool.takeLosses()
        let longer = try transaction(3, 1, size: 60_000)
        #expect(throws: MempoolError.full) { try pool.admit(longer, accountNonce: 0, now: .zero) }
        #expect(pool.takeLosses() == [])
    }

    @Test func lowerLimitsTakeFromTheEnd() throws {
        var pool = try filled()
        var limits = pool.limits
        limits.perSender = 80
        pool.limit(to: limits)
        try pool.checkInvariants()
        #expect(pool.readyCount == 240)
        limits.count = 120
        pool.limit(to: limits)
        try pool.checkInvariants()
        #expect(pool.readyCount == 120)
        for sender in 1...3 as ClosedRange<UInt8> {
            let next = try #require(pool.nextNonce(Self.account(sender)))
            #expect((30...60).contains(next), "\(next)")
        }
        #expect(pool.takeLosses().count == 180)
    }

    @Test func oldTransactionsExpire() throws {
        var limits = MempoolLimits()
        limits.lifetime = .seconds(10)
        var pool = TransactionPool(limits)
        let old = try transaction(1, 1)
        let young = try transaction(1, 2)
        try pool.admit(old, accountNonce: 0, now: .seconds(1))
        try pool.admit(young, accountNonce: 0, now: .seconds(5))
        #expect(pool.nextDeadline == .seconds(11))
        #expect(pool.removed { $0.expire(now: .seconds(10)) }.isEmpty)
        #expect(pool.removed { $0.expire(now: .seconds(11)) } == [old.id])
        #expect(pool.propose(maxBytes: .max).isEmpty)
        #expect(pool.removed { $0.expire(now: .seconds(100), limit: 0) }.isEmpty)
        #expect(pool.removed { $0.expire(now: .seconds(100)) } == [young.id])
    }

    @Test func announcementsBackOff() throws {
        var limits = MempoolLimits()
        limits.firstInterval = .seconds(10)
        limits.lastInterval = .seconds(35)
        var pool = TransactionPool(limits)
        let first = try transaction(1, 1)
        let second = try transaction(2, 1)
        try pool.admit(first, accountNonce: 0, now: .zero)
        try pool.admit(second, accountNonce: 0, now: .seconds(3))
        #expect(pool.due(now: .seconds(9)).isEmpty)
        #expect(pool.nextDeadline == .seconds(10))
        #expect(pool.due(now: .seconds(13), limit: 1) == [first.id])
        #expect(pool.due(now: .seconds(13)) == [second.id])
        #expect(pool.due(now: .seconds(13)).isEmpty)
        #expect(pool.nextDeadline == .seconds(33))
        #expect(pool.due(now: .seconds(33)) == [first.id, second.id])
        #expect(pool.nextDeadline == .seconds(68))
        #expect(pool.due(now: .seconds(68)) == [first.id, second.id])
        #expect(pool.nextDeadline == .seconds(103), "the last interval stays")
    }

    @Test func returningNonceMakesTransactionsWait() throws {
        var pool = TransactionPool()
        let third = try transaction(1, 3)
        try pool.admit(third, accountNonce: 2, now: .zero)
        let none: [Hash] = []
        #expect(pool.removed { $0.commit(none, nonces: [(Self.account(1), 1)]) }.isEmpty)
        #expect(pool.propose(maxBytes: .max).isEmpty)
        let second = try transaction(1, 2)
        try pool.admit(second, accountNonce: 1, now: .zero)
        #expect(pool.propose(maxBytes: .max) == [second, third])
    }

    @Test func feesBeyondTheBalanceAreNotKept() throws {
        var pool = TransactionPool()
        let account = Self.account(1)
        let transactions = try (1...5).map {
            try Self.transaction(1, $0, fee: $0 == 3 ? 100 : 10)
        }
        #expect(throws: MempoolError.insufficientBalance) {
            try pool.admit(transactions[2], accountNonce: 0, balance: 99, now: .zero)
        }
        for next in transactions {
            try pool.admit(next, accountNonce: 0, balance: 100, now: .zero)
        }
        let other = try Self.transaction(2, 1, fee: 1000)
        try pool.admit(other, accountNonce: 0, now: .zero)
        #expect(pool.removed { $0.commit([transactions[0].id], nonces: [(account, 1)]) }.count == 1)
        #expect(pool.removed { $0.drop(beyond: 90, of: account) } == [transactions[2].id])
        #expect(pool.propose(maxBytes: .max) == [transactions[1], other])
        #expect(
            pool.removed { $0.drop(beyond: 9, of: account) }
                == Set([transactions[1], transactions[3], transactions[4]].map(\.id)))
        #expect(pool.removed { $0.drop(beyond: 9, of: account) }.isEmpty)
        #expect(pool.removed { $0.drop(beyond: 0, of: Self.account(7)) }.isEmpty)
        #expect(pool.propose(maxBytes: .max) == [other])
    }

    @Test func removalOfUnknownIsNothing() throws {
        var pool = TransactionPool()
        let first = try transaction(1, 1)
        try pool.admit(first, accountNonce: 0, now: .zero)
        pool.remove([Hash.zero, first.id, first.id])
        #expect(pool.count == 0)
        #expect(pool.bytes == 0)
    }
}

extension TransactionPool {
    /// Returns the transactions that `body` removes.
    /// Changes only the maximum size.
    mutating func limit(toBytes bytes: Int) {
        var limits = limits
        limits.bytes = bytes
        limit(to: limits)
    }

    mutating func removed(_ body: (inout TransactionPool) throws -> Void) rethrows -> Set<Hash> {
        let before = Set(all.map(\.transaction.id))
        try body(&self)
        return before.subtracting(all.map(\.transaction.id))
    }
}
