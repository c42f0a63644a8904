import Crypto
import Multiformats
import TestSupport
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

    private func note(
        _ holders: inout BlockHolders, _ peer: PeerID, _ block: Int, at height: Int64 = 1,
        isTrusted: Bool = true
    ) {
        holders.note(peer, has: hashes[block], at: height, isTrusted: isTrusted)
    }

    @Test func announcersOfABlockAreKnownUntilItIsAnnounced() {
        var holders = BlockHolders()
        note(&holders, peers[0], 0)
        note(&holders, peers[1], 0)
        note(&holders, peers[2], 1, at: 2)
        #expect(holders.take(hashes[0], at: 1) == Set(peers.prefix(2)))
        #expect(holders.take(hashes[0], at: 1) == [])
        #expect(holders.take(hashes[1], at: 2) == [peers[2]])
    }

    @Test func aPeerThatConnectsAgainMayHaveLostWhatItHad() {
        var holders = BlockHolders()
        note(&holders, peers[0], 0)
        note(&holders, peers[1], 0)
        holders.forget(peers[0])
        #expect(holders.take(hashes[0], at: 1) == [peers[1]])
    }

    @Test func announcersComeInTheOrderOfTheirAnnouncements() {
        var holders = BlockHolders()
        note(&holders, peers[0], 5)
        for peer in [peers[1], peers[0]] { note(&holders, peer, 3) }
        #expect(holders.peers(of: hashes[3]) == [peers[1], peers[0]])
        #expect(holders.peers(of: hashes[4]) == [])
    }

    @Test func inventedBlocksTakeOnlyTheirAnnouncersPlaces() {
        var holders = BlockHolders()
        note(&holders, peers[1], 0)
        for number in hashes.indices { note(&holders, peers[0], number) }
        #expect(
            hashes.filter { holders.peers(of: $0).contains(peers[0]) }.count == BlockHolders.blocksPerPeer)
        #expect(holders.peers(of: hashes[0]).contains(peers[1]))
    }

    @Test func theNextBlocksAreKnownHoweverManyFollow() {
        var holders = BlockHolders()
        // While a slow source delays the second block, the chain grows.
        for number in [5, 1] + Array(6..<20) + [2] { note(&holders, peers[0], number, at: Int64(number)) }
        #expect(holders.peers(of: hashes[1]) == [peers[0]])
        #expect(holders.peers(of: hashes[2]) == [peers[0]])
        #expect(holders.take(hashes[2], at: 2) == [peers[0]])
        #expect(holders.peers(of: hashes[1]) == [], "lower heights are forgotten")
        #expect(holders.peers(of: hashes[5]) == [peers[0]])
    }

    @Test func strangersLeavePlacesToOthersAndGiveTheirsBack() {
        var holders = BlockHolders()
        let strangers = (0..<BlockHolders.places).map { PeerID.numbered(1_000 + $0) }
        for stranger in strangers {
            for number in 0..<8 { note(&holders, stranger, number, isTrusted: false) }
        }
        let taken = (0..<8).reduce(0) { $0 + holders.peers(of: hashes[$1]).count }
        #expect(taken <= BlockHolders.places / 2)
        note(&holders, peers[0], 9)
        #expect(holders.peers(of: hashes[9]) == [peers[0]])
        for stranger in strangers { holders.forget(stranger) }
        note(&holders, peers[1], 10, isTrusted: false)
        #expect(holders.peers(of: hashes[10]) == [peers[1]], "a peer that left takes no place")
    }
}
