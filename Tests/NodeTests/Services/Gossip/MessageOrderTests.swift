import Crypto
import TestSupport
import Testing

@testable import Node

@Suite struct MessageOrderTests {
    let keys: [PublicKey]

    init() throws {
        keys = try (1...2).map { try TestChain.key($0).publicKey }
    }

    @Test func replayedMessagesAreNotNew() {
        var order = MessageOrder()
        #expect(order.isNew(5_000_000, of: keys[0]) == true)
        #expect(order.isNew(5_000_002, of: keys[0]) == true)
        for old: UInt64 in [5_000_002, 5_000_001, 5_000_000] {
            #expect(order.isNew(old, of: keys[0]) == false)
        }
        #expect(order.isNew(5_000_003, of: keys[0]) == true)
        #expect(order.isNew(5_000_000, of: keys[1]) == true, "another author's numbers")
    }

    @Test func aRestartWithAClockThatWasSetBackIsHeard() {
        var order = MessageOrder()
        #expect(order.isNew(9_000_000, of: keys[0]) == true)
        #expect(order.isNew(2_000_000, of: keys[0]) == true)
        #expect(order.isNew(9_000_000, of: keys[0]) == false, "from the former process")
        #expect(order.isNew(2_000_001, of: keys[0]) == true)
        #expect(order.isNew(.max, of: keys[0]) == true)
    }

    @Test func itsMemoryIsBounded() {
        var order = MessageOrder()
        for number in 0..<UInt64(MessageOrder.remembered + 1) {
            #expect(order.isNew(number * MessageOrder.range, of: keys[0]) == true)
        }
        #expect(order.isNew(0, of: keys[0]) == true, "forgotten")
        #expect(order.isNew(UInt64(MessageOrder.remembered) * MessageOrder.range, of: keys[0]) == false)
    }
}
