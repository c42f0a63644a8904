import Crypto
import Multiformats
import Testing

@testable import Node

@Suite struct BlockHoldersTests {
    let hashes = (0..<20).map { Hash.sha256(of: [UInt8($0)]) }
    let peers: [PeerID]

    init() throws {
        peers = try (1...3).map {
            try PrivateKey(ed25519Seed: Array(repeating: $0, count: 32)).publicKey.peerID
        }
    }

    @Test func whoHasAnnouncedABlockIsKnownUntilItIsAnnounced() {
        var holders = BlockHolders()
        holders.note(peers[0], has: hashes[0])
        holders.note(peers[1], has: hashes[0])
        holders.note(peers[2], has: hashes[1])
        #expect(holders.take(hashes[0]) == Set(peers.prefix(2)))
        #expect(holders.take(hashes[0]) == [])
        #expect(holders.take(hashes[1]) == [peers[2]])
    }

    @Test func aPeerThatConnectsAgainMayHaveLostWhatItHad() {
        var holders = BlockHolders()
        holders.note(peers[0], has: hashes[0])
        holders.note(peers[1], has: hashes[0])
        holders.forget(peers[0])
        #expect(holders.take(hashes[0]) == [peers[1]])
    }

    @Test func inventedBlocksTakeNoMemory() {
        var holders = BlockHolders()
        for hash in hashes { holders.note(peers[0], has: hash) }
        #expect(hashes.filter { !holders.take($0).isEmpty }.count <= BlockHolders.maximumBlocks)
    }
}
