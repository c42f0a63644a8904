import Crypto
import Multiformats
import Reactor
import Testing

@testable import Node

@Suite struct CheckGateTests {
    @ReactorActor
    private final class Entered {
        var peers: [PeerID] = []
    }

    /// A peer with many messages leaves places to others, and strangers leave some to trusted peers.
    @Test func aPeerHasAFewPlaces() async throws {
        let peers = try (0..<12).map { _ in try PrivateKey.generate(.ed25519).publicKey.peerID }
        let hashes = (0..<40).map { Hash.sha256(of: [UInt8($0)]) }
        try await Reactor.run {
            let gate = CheckGate()
            for (number, hash) in hashes.enumerated() {
                let isIn = await gate.enter(hash, by: peers[0], isTrusted: true)
                #expect(isIn == (number < CheckGate.peerLimit))
            }
            gate.leave(hashes[0], by: peers[0])
            #expect(await gate.enter(hashes[30], by: peers[0], isTrusted: true))
            for stranger in peers[2...] {
                for number in 0..<40 {
                    let own = Hash.sha256(of: stranger.bytes + [UInt8(number)])
                    _ = await gate.enter(own, by: stranger, isTrusted: false)
                }
            }
            #expect(await gate.enter(hashes[31], by: peers[1], isTrusted: true))
        }
    }

    @Test func whoIsTrustedGoesBeforeStrangers() async throws {
        let peers = try (0..<12).map { _ in try PrivateKey.generate(.ed25519).publicKey.peerID }
        let hash = Hash.sha256(of: [1])
        try await Reactor.run {
            let gate = CheckGate()
            let entered = Entered()
            #expect(await gate.enter(hash, by: peers[0], isTrusted: false))
            func come(_ peer: PeerID, isTrusted: Bool) {
                Reactor.spawn {
                    guard await gate.enter(hash, by: peer, isTrusted: isTrusted) else { return }
                    entered.peers.append(peer)
                    gate.leave(hash, by: peer)
                }
            }
            for stranger in peers[1...9] { come(stranger, isTrusted: false) }
            try await Reactor.sleep(for: .milliseconds(10))
            for trusted in peers[10...] { come(trusted, isTrusted: true) }
            try await Reactor.sleep(for: .milliseconds(10))
            gate.leave(hash, by: peers[0])
            try await Reactor.sleep(for: .milliseconds(50))
            #expect(entered.peers.prefix(2) == peers[10...], "although the queue was full")
            #expect(entered.peers.count == 2 + CheckGate.waitingLimit)
        }
    }
}
