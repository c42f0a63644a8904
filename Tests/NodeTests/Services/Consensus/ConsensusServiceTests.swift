import Crypto
import TestSupport
import Testing

@testable import Node

@Suite struct ConsensusServiceTests {
    @Test func validatorsAreToldFirst() throws {
        let keys = try (1...6).map {
            try TestChain.key($0).publicKey
        }
        let peers = keys.map(\.peerID)
        let order = ConsensusService.order(peers, validators: [keys[5], keys[1], keys[3]])
        #expect(order == [1, 3, 5, 0, 2, 4].map { peers[$0] })
        #expect(ConsensusService.order([], validators: keys).isEmpty)
    }
}
