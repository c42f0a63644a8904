import Bytes
import Chain
import Crypto
import TestSupport
import Testing

/// `Tests/Vectors/kwil.json`: written from docs/wire.md by an independent implementation.
struct KwilVectors: Decodable {
    struct Key: Decodable {
        let type, `private`, `public`, peerId, nodeId, wire, account: String
    }
    struct Transaction: Decodable {
        let key: Int
        let description, payload, payloadType, fee: String
        let nonce: UInt64
        let chainId, serialization, signedMessage, body, bytes, txid: String
    }
    struct Block: Decodable {
        let height: Int64
        let transactions: Int
        let header, hash, merkleRoot, signature, bytes, appHash, commitInfo, announcement, proposal: String
    }
    struct Ack: Decodable { let key: Int, kind, bytes: String }
    struct Reset: Decodable { let toHeight: Int64, txids: [String], bytes: String }
    struct ValidatorSet: Decodable {
        struct Member: Decodable { let nodeId: String, power: Int64 }
        let validators: [Member]
        let hash: String
    }
    struct Parameters: Decodable {
        let leader: String
        let leaderType: String?
        let maxBlockSize, joinExpiryNs: Int64
        let disabledGasCosts: Bool
        let maxVotesPerTx: Int64
        let migrationStatus, hash: String
    }
    struct Published: Decodable { let networkParameters: Parameters }

    let keys: [Key]
    let transactions: [Transaction]
    let validatorSet: ValidatorSet
    let networkParameters: Parameters
    let blocks: [Block]
    let acks: [Ack]
    let resets: [Reset]
    let published: Published

    static func load() throws -> KwilVectors { try Vectors.load(KwilVectors.self, from: "kwil.json") }

    func key(_ index: Int) throws -> PrivateKey {
        try PrivateKey(type: KeyType(name: keys[index].type), bytes: Hex.decode(keys[index].private))
    }

    var leader: PublicKey { get throws { try PublicKey(nodeID: keys[0].nodeId) } }
}

/// `Tests/Vectors/kwil-reference.json`: computed by the reference implementation's own types.
struct ReferenceVectors: Decodable {
    struct Ack: Decodable { let bytes, text: String }
    struct Block: Decodable {
        let appHash, bytes, commitInfo, hash, header, leader, merkleRoot, signature: String
        let height: Int64
        let timestampMs: UInt64
        let txids: [String]?
    }
    struct Key: Decodable {
        let type, `public`, `private`, wire: String
        let ethereumAddress: String?
    }
    struct Parameters: Decodable {
        let disabledGasCosts: Bool
        let hash, leader, migrationStatus: String
        let joinExpiryNs, maaActivationHeight, maxBlockSize, maxVotesPerTx: Int64
    }
    struct ParameterUpdate: Decodable { let bytes, text: String }
    struct Refused: Decodable { let about, bytes, what: String }
    struct Transaction: Decodable {
        let body, bytes, chainId, description, fee, payload, payloadType, `public`, sender,
            serialization: String
        let nonce, signature, signatureType, signedMessage, txid: String
    }
    struct ValidatorSet: Decodable {
        struct Member: Decodable { let power: Int64, `public`, type: String }
        let hash: String
        let powers: [Member]
    }
    struct Value: Decodable { let about, bytes, type: String, isArray: Bool, metadata: [UInt16] }

    let acks: [Ack]
    let blocks: [Block]
    let keys: [Key]
    let networkParameters: [Parameters]
    let parameterUpdates: [ParameterUpdate]
    let refused: [Refused]
    let transactions: [Transaction]
    let validatorSet: ValidatorSet
    let values: [Value]

    static func load() throws -> ReferenceVectors {
        try Vectors.load(ReferenceVectors.self, from: "kwil-reference.json")
    }

    func publicKey(_ hex: String) throws -> PublicKey {
        let key = try #require(keys.first { $0.public == hex })
        return try PublicKey(type: KeyType(name: key.type), bytes: Hex.decode(hex))
    }
}

func bytes(_ hex: String) throws -> SharedBytes { SharedBytes(try Hex.decode(hex)) }

func hex(_ source: some ByteSource) -> String { Hex.encode(source) }
