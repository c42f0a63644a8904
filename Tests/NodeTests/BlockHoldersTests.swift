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

    @Test func whoHasIsToldInTheOrderOfTheirAnnouncements() {
        var holders = BlockHolders()
        for peer in [peers[1], peers[0]] { holders.note(peer, has: hashes[3]) }
        #expect(holders.peers(of: hashes[3]) == [peers[1], peers[0]])
        #expect(holders.peers(of: hashes[4]) == [])
    }

    @Test func inventedBlocksTakeNoMemoryAndNobodyElsesPlace() {
        var holders = BlockHolders()
        holders.note(peers[1], has: hashes[0])
        for hash in hashes { holders.note(peers[0], has: hash) }
        #expect(
            hashes.filter { holders.peers(of: $0).contains(peers[0]) }.count == BlockHolders.blocksPerPeer)
        #expect(holders.peers(of: hashes[0]) == [peers[1]])
    }
}
