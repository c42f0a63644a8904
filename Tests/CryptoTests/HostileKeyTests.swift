import Bytes
import Collections
import Crypto
import Multiformats
import TestSupport
import Testing

@Suite struct HostileKeyTests {
    @Test func badPublicKeysAreRefused() {
        for type in KeyType.allCases {
            for count in [0, 1, 31, 34, 64, 65, 1000] {
                #expect(throws: CryptoError.invalidPublicKey) {
                    try PublicKey(type: type, bytes: [UInt8](repeating: 2, count: count))
                }
            }
        }
        // x outside the field, a wrong first byte, not a point on the curve
        for bytes in [[2] + [UInt8](repeating: 0xFF, count: 32), [5] + [UInt8](repeating: 1, count: 32)] {
            #expect(throws: CryptoError.invalidPublicKey) { try PublicKey(type: .secp256k1, bytes: bytes) }
        }
    }

    @Test func badPrivateKeysAreRefused() throws {
        let order = try Hex.decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
        for bytes in [[], [1], [UInt8](repeating: 0, count: 32), order, [UInt8](repeating: 1, count: 33)] {
            #expect(throws: CryptoError.invalidPrivateKey) { try PrivateKey(type: .secp256k1, bytes: bytes) }
        }
        var mismatched = try PrivateKey.generate(.ed25519).bytes
        mismatched[63] ^= 1
        for bytes in [[], [UInt8](repeating: 1, count: 32), mismatched] {
            #expect(throws: CryptoError.invalidPrivateKey) { try PrivateKey(type: .ed25519, bytes: bytes) }
        }
        #expect(throws: CryptoError.invalidPrivateKey) { try PrivateKey(ed25519Seed: [1]) }
    }

    @Test(arguments: [
        "", "#", "##", "00#ed25519", "5a8cf6c530cc54a52f4f55d69e4b1bca1be021e5f1d52562e26cfa6d90402795",
        "5a8cf6c530cc54a52f4f55d69e4b1bca1be021e5f1d52562e26cfa6d90402795#",
        "5a8cf6c530cc54a52f4f55d69e4b1bca1be021e5f1d52562e26cfa6d90402795#secp256k1",
        "5a8cf6c530cc54a52f4f55d69e4b1bca1be021e5f1d52562e26cfa6d90402795#rsa",
        "5a8cf6c530cc54a52f4f55d69e4b1bca1be021e5f1d52562e26cfa6d90402795#ed25519#",
        "xx8cf6c530cc54a52f4f55d69e4b1bca1be021e5f1d52562e26cfa6d90402795#ed25519",
    ])
    func badNodeIDsAreRefused(_ text: String) {
        let error = #expect(throws: CryptoError.self) { try PublicKey(nodeID: text) }
        #expect(error?.description.contains("\n") == false)
    }

    @Test func badWireKeysAreRefused() throws {
        let wire = try PrivateKey.generate(.ed25519).publicKey.wire
        for count in 0..<wire.count {
            #expect(throws: CryptoError.self) { try PublicKey(wire: wire[..<count]) }
        }
        #expect(throws: CryptoError.invalidPublicKey) { try PublicKey(wire: wire + [0]) }
        #expect(throws: CryptoError.unknownKeyType("2")) { try PublicKey(wire: [2] + wire.dropFirst()) }
        #expect(throws: CryptoError.invalidPublicKey) { try PublicKey(wire: [0] + wire.dropFirst()) }
    }

    /// A peer ID is a hash of the protobuf, so a second encoding of the same key must be rejected.
    @Test func onlyOneProtobufOfAKeyIsTaken() throws {
        let key = try PrivateKey.generate(.ed25519).publicKey
        let protobuf = key.libp2pProtobuf
        #expect(Array(protobuf[..<4]) == [0x08, 0x01, 0x12, 0x20])
        let reordered = protobuf[2...] + protobuf[..<2]
        let padded = [0x08, 0x81, 0x00] + protobuf[2...]
        let extended = protobuf + [0x18, 0x00]
        for bytes in [Array(reordered), padded, extended, [], Array(protobuf.dropLast())] {
            #expect(throws: CryptoError.invalidPublicKey) { try PublicKey(libp2pProtobuf: bytes) }
        }
        #expect(throws: CryptoError.unknownKeyType("0")) {
            try PublicKey(libp2pProtobuf: [0x08, 0x00] + protobuf[2...])
        }
        let hashed = try PeerID("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
        #expect(throws: CryptoError.keyNotInPeerID) { try PublicKey(peerID: hashed) }
    }

    @Test func verifyingAnythingIsSafe() throws {
        var random = SeededGenerator(seed: 65)
        let secp256k1 = try PrivateKey.generate(.secp256k1).publicKey
        let address = try #require(secp256k1.ethereumAddress)
        var keys = [secp256k1, try PrivateKey.generate(.ed25519).publicKey]
        // points of low order, and bytes that are not a point
        keys.append(try PublicKey(type: .ed25519, bytes: [UInt8](repeating: 0, count: 32)))
        keys.append(try PublicKey(type: .ed25519, bytes: [1] + [UInt8](repeating: 0, count: 31)))
        keys.append(try PublicKey(type: .ed25519, bytes: [UInt8](repeating: 0xFF, count: 32)))
        var signatures: [[UInt8]] = [0, 1, 8, 63, 64, 65, 66, 72, 100, 5000].flatMap { count in
            [
                [UInt8](repeating: 0, count: count), [UInt8](repeating: 0xFF, count: count),
                random.bytes(count),
            ]
        }
        signatures.append([0x30, 0x80])
        signatures.append([0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01])
        signatures.append([0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0x02])
        for signature in signatures {
            for message in [[], [1], random.bytes(1000)] as [[UInt8]] {
                for key in keys {
                    #expect(!key.verify(signature, of: message))
                    #expect(!key.verifyHandshake(signature, of: message))
                }
                #expect(!EthereumSignature.verify(signature, of: message, address: address))
                #expect(!EthereumSignature.verify(signature, of: message, address: []))
            }
        }
    }

    @Test func ed25519KeysDoNotSignForEthereum() throws {
        let key = try PrivateKey.generate(.ed25519)
        #expect(key.signEthereum([1]) == nil && key.publicKey.ethereumAddress == nil)
    }
}
