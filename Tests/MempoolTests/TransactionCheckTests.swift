import Bytes
import Chain
import Mempool
import Testing

@Suite struct TransactionCheckTests {
    @Test func batchGivesOneResultEach() throws {
        let good = try TransactionPoolTests.transaction(1, 1)
        var forged = good.bytes.array
        forged[10] ^= 1
        let body = TransactionBody(.validatorLeave, fee: -1, nonce: 1, chainID: "c")
        let negative = try Transaction.signed(body, by: TransactionPoolTests.key(1))
        let check = TransactionCheck(chainID: "c", maxBytes: 400)
        let results = check.check([
            good.bytes, SharedBytes(forged), SharedBytes([1, 2, 3]), negative.bytes,
            try TransactionPoolTests.transaction(1, 2, size: 400).bytes,
        ])
        #expect(results.count == 5)
        #expect(try results[0].get() == good)
        #expect(throws: MempoolError.refused(.invalidSignature)) { try results[1].get() }
        #expect(throws: MempoolError.self) { try results[2].get() }
        #expect(throws: MempoolError.negativeFee) { try results[3].get() }
        #expect(throws: MempoolError.self) { try results[4].get() }
        #expect(throws: MempoolError.refused(.wrongChain("c"))) {
            try TransactionCheck(chainID: "d").check(good.bytes)
        }
    }
}
