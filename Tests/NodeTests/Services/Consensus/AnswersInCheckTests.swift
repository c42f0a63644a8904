import Bytes
import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Node

@Suite struct AnswersInCheckTests {
    let keys: [PrivateKey]

    init() throws {
        keys = try (1...9).map { try TestChain.key($0) }
    }

    /// An answer in the first key's name with an invalid signature.
    func forged(_ number: Int) -> AckRes {
        AckRes(
            height: 1, block: .zero, answer: .ack(appHash: .sha256(of: Array("\(number)".utf8))),
            signature: VoteSignature(publicKey: keys[0].publicKey, signature: SharedBytes()))
    }

    @Test func strangersLeaveRoomForValidators() {
        var checks = AnswersInCheck()
        var taken = 0
        for stranger in keys[1...8] {
            for number in 0..<AnswersInCheck.capacity
            where checks.begin(forged(number), from: stranger.publicKey.peerID, isTrusted: false) {
                taken += 1
            }
            #expect(taken < AnswersInCheck.capacity / 2)
        }
        #expect(checks.count == taken)
        let voter = keys[0].publicKey.peerID
        for number in 0..<AnswersInCheck.perPeer {
            #expect(checks.begin(forged(number), from: voter, isTrusted: true) == true)
        }
    }

    @Test func eachIsCheckedOnceAtATime() {
        var checks = AnswersInCheck()
        let peer = keys[1].publicKey.peerID
        #expect(checks.begin(forged(1), from: peer, isTrusted: false) == true)
        #expect(checks.begin(forged(1), from: peer, isTrusted: false) == false)
        #expect(checks.begin(forged(1), from: keys[2].publicKey.peerID, isTrusted: false) == true)
        checks.end(forged(1), from: peer)
        checks.end(forged(1), from: peer)
        #expect(checks.count == 1)
        #expect(checks.begin(forged(1), from: peer, isTrusted: false) == true)
    }
}
