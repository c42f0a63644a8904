import Crypto
import Foundation
import Multiformats
import Testing
import TestSupport

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
    var keys: [Key]
}

@Suite struct KeyTests {
    @Test(arguments: ["kwil.json", "kwil-reference.json"])
    func vectors(_ file: String) throws {
        for entry in try Vectors.load(KeyVectors.self, from: file).keys {
            let type = try KeyType(name: entry.type)
            let key = try PrivateKey(type: type, bytes: Hex.decode(entry.private))
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
            let message = Array("message".utf8)
            let signature = key.sign(message)
            #expect(key.publicKey.verify(signature, of: message))
        }
    }
}
