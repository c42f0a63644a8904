import Crypto
import Multiformats
import Reactor
import Testing

@testable import Node

@Suite struct CheckGateTests {
    /// A peer that brings many things leaves the places to others.
    @Test func aPeerHasAFewPlaces() async throws {
        let peers = try (0..<2).map { _ in try PrivateKey.generate(.ed25519).publicKey.peerID }
        try await Reactor.run {
            let gate = CheckGate()
            let hashes = (0..<10).map { Hash.sha256(of: [UInt8($0)]) }
            for (number, hash) in hashes.enumerated() {
                #expect(await gate.enter(hash, from: peers[0]) == (number < CheckGate.peerLimit))
            }
            #expect(await gate.enter(hashes[9], from: peers[1]))
            gate.leave(hashes[0], from: peers[0])
            #expect(await gate.enter(hashes[8], from: peers[0]))
            #expect(await !gate.enter(hashes[7], from: peers[0]))
        }
    }
}
