import Crypto
import TestSupport
import Testing

@testable import Node

struct KeyUseTests {
    let key: PublicKey
    let early: UInt64 = 1_000_000_000
    let late: UInt64 = 9_000_000_000

    init() throws { key = try TestChain.key(7).publicKey }

    @Test func twoProcessesThatTakeTurnsAreNoticedOnce() {
        var use = KeyUse()
        var found: [Int64] = []
        for height in Int64(1)...6 {
            let base = height % 2 == 0 ? late : early
            if use.heard(key, number: base + UInt64(height), height: height) { found.append(height) }
        }
        #expect(found == [3])
    }

    @Test func restartsAreNoSharedKeys() {
        var use = KeyUse()
        for (height, start) in [early, late, late * 2, early / 2].enumerated() {
            for number in 0..<50 as Range<UInt64> {
                let found = use.heard(key, number: start + number, height: Int64(height + 1))
                #expect(!found)
            }
        }
    }

    @Test func lateMessagesOfAFormerProcessAreNoSharedKey() {
        var use = KeyUse()
        for (number, height) in [(early, 1), (early + 1, 2), (late, 3), (early + 2, 3), (late + 1, 4)] {
            let found = use.heard(key, number: number, height: Int64(height))
            #expect(!found)
        }
    }
}
