import Bytes
import Crypto
import Multiformats
import TestSupport
import Testing

struct KeyVectors: Decodable {
    struct Key: Decodable {
        var type: String
        var `private`: String
        var `public`: String
        var peerId: String?
        var nodeId: String?
        var wire: String
        var ethereumAddress: String?
    }
    struct Transaction: Decodable {
        var sender: String
        var signature: String
        var signatureType: String
        var signedMessage: String
    }
    struct Published: Decodable {
        struct Peer: Decodable {
            var type: String
            var `public`: String
            var peerId: String
        }
        var peerIds: [Peer]
    }
    var keys: [Key]
    var published: Published?
}

struct ReferenceTransactions: Decodable {
    var transactions: [KeyVectors.Transaction]
}

@Suite struct KeyTests {
    @Test(arguments: ["kwil.json", "kwil-reference.json"])
    func vectorKeys(_ file: String) throws {
        let keys = try Vectors.load(KeyVectors.self, from: file).keys
        #expect(!keys.isEmpty)
        for entry in keys {
            let type = try KeyType(name: entry.type)
            let key = try PrivateKey(type: type, bytes: Hex.decode(entry.private))
            #expect(Hex.encode(key.bytes) == entry.private)
            #expect(Hex.encode(key.publicKey.bytes) == entry.public)
            #expect(Hex.encode(key.publicKey.wire) == entry.wire)
            #expect(try PublicKey(wire: Hex.decode(entry.wire)) == key.publicKey)
            if let peerID = entry.peerId {
                #expect(key.publicKey.peerID.description == peerID)
                #expect(try PublicKey(peerID: PeerID(peerID)) == key.publicKey)
            }
            if let nodeID = entry.nodeId {
                #expect(key.publicKey.nodeID == nodeID)
                #expect(try PublicKey(nodeID: nodeID) == key.publicKey)
            }
            if let address = entry.ethereumAddress {
                #expect(key.publicKey.ethereumAddress.map { Hex.encode($0) } == address)
            }
        }
    }

    @Test func publishedPeerIDs() throws {
        let peers = try #require(try Vectors.load(KeyVectors.self, from: "kwil.json").published).peerIds
        #expect(peers.count == 2)
        for peer in peers {
            let key = try PublicKey(type: KeyType(name: peer.type), bytes: Hex.decode(peer.public))
            #expect(key.peerID.description == peer.peerId)
            #expect(try PublicKey(peerID: PeerID(peer.peerId)) == key)
        }
    }

    /// The reference's signatures are verified and reproduced: both implementations use deterministic nonces.
    @Test func referenceSignatures() throws {
        let keys = try Vectors.load(KeyVectors.self, from: "kwil-reference.json").keys
        let transactions = try Vectors.load(ReferenceTransactions.self, from: "kwil-reference.json")
            .transactions
        var seen: Set<String> = []
        for transaction in transactions {
            seen.insert(transaction.signatureType)
            let message = try Hex.decode(transaction.signedMessage)
            var signature = try Hex.decode(transaction.signature)
            let isEthereum = transaction.signatureType == "secp256k1_ep"
            let owner = keys.first {
                (isEthereum ? $0.ethereumAddress : $0.public) == transaction.sender
            }
            let entry = try #require(owner)
            let key = try PrivateKey(type: KeyType(name: entry.type), bytes: Hex.decode(entry.private))
            let address = try Hex.decode(entry.ethereumAddress ?? "")
            func verify(_ message: [UInt8]) -> Bool {
                isEthereum
                    ? EthereumSignature.verify(signature, of: message, address: address)
                    : key.publicKey.verify(signature, of: message)
            }
            #expect(verify(message))
            #expect(!verify(message + [0]))
            let again = isEthereum ? key.signEthereum(message) : key.sign(message)
            #expect(again == signature)
            signature[10] ^= 1
            #expect(!verify(message))
        }
        #expect(seen == ["ed25519", "secp256k1", "secp256k1_ep"])
    }

    @Test(arguments: KeyType.allCases) func generatedKeysSurvive(_ type: KeyType) throws {
        for _ in 0..<20 {
            let key = try PrivateKey.generate(type)
            let copy = try PrivateKey(type: type, bytes: key.bytes)
            #expect(copy.publicKey == key.publicKey)
            #expect(try PublicKey(nodeID: key.publicKey.nodeID) == key.publicKey)
            #expect(try PublicKey(peerID: key.publicKey.peerID) == key.publicKey)
            #expect(try PublicKey(libp2pProtobuf: key.publicKey.libp2pProtobuf) == key.publicKey)
            let message = SecureRandom.bytes(100)
            let signature = copy.sign(message)
            #expect(signature.count == type.signatureCount)
            #expect(key.publicKey.verify(signature, of: message))
            #expect(key.publicKey.verify(signature, of: SharedBytes(message)))
            #expect(try !PrivateKey.generate(type).publicKey.verify(signature, of: message))
            let handshake = copy.signHandshake(message)
            #expect(key.publicKey.verifyHandshake(handshake, of: message))
            #expect(!key.publicKey.verifyHandshake(handshake, of: message + [1]))
            #expect(key.sign([]).count == type.signatureCount)
            #expect(key.publicKey.verify(key.sign([]), of: []))
        }
    }

    @Test func handshakeSignaturesOfSecp256k1AreDER() throws {
        let key = try PrivateKey.generate(.secp256k1)
        let signature = key.signHandshake([1, 2, 3])
        #expect(signature.first == 0x30 && Int(signature[1]) == signature.count - 2)
        #expect(!key.publicKey.verify(signature, of: [1, 2, 3]))
        #expect(!key.publicKey.verifyHandshake(key.sign([1, 2, 3]), of: [1, 2, 3]))
    }

    /// The reference accepts s in either half, so this node must too; the group's order minus s is the other
    /// one.
    @Test func eitherHalfOfSIsTaken() throws {
        let key = try PrivateKey.generate(.secp256k1)
        let order = try Hex.decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
        func negated(_ s: ArraySlice<UInt8>) -> [UInt8] {
            var borrow = 0
            var difference = [UInt8](repeating: 0, count: 32)
            for index in (0..<32).reversed() {
                let digit = Int(order[index]) - Int(s[s.startIndex + index]) - borrow
                borrow = digit < 0 ? 1 : 0
                difference[index] = UInt8(truncatingIfNeeded: digit)
            }
            return difference
        }
        let message = Array("either half".utf8)
        let low = key.sign(message)
        let high = low[..<32] + negated(low[32..<64]) + [low[64] ^ 1]
        #expect(key.publicKey.verify(high, of: message))
        let wallet = try #require(key.signEthereum(message))
        let address = try #require(key.publicKey.ethereumAddress)
        let other = wallet[..<32] + negated(wallet[32..<64]) + [wallet[64] ^ 1]
        #expect(EthereumSignature.verify(other, of: message, address: address))
        for v in [wallet[64] + 27, wallet[64] + 4] {
            #expect(EthereumSignature.verify(wallet[..<64] + [v], of: message, address: address))
        }
        for v in [wallet[64] ^ 1, wallet[64] + 2, wallet[64] + 8, wallet[64] + 29, 0xFF] {
            #expect(!EthereumSignature.verify(wallet[..<64] + [v], of: message, address: address), "\(v)")
        }
    }

    /// RFC 8032, section 7.1, tests 1 to 3.
    @Test(arguments: [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                + "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ])
    func ed25519KnownAnswers(_ seed: String, _ publicKey: String, _ message: String, _ signature: String)
        throws
    {
        let key = try PrivateKey(ed25519Seed: Hex.decode(seed))
        #expect(Hex.encode(key.publicKey.bytes) == publicKey)
        #expect(try Hex.encode(key.sign(Hex.decode(message))) == signature)
        #expect(try key.publicKey.verify(Hex.decode(signature), of: Hex.decode(message)))
    }
}
