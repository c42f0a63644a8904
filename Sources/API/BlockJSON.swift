import Chain
import Crypto
import Foundation
import Multiformats
import Storage

/// A block header as kwil-db writes it in JSON.
struct BlockHeaderJSON: Codable, Sendable {
    var version: UInt16
    var height: Int64
    var numTxns: UInt32
    var prevHash: HashJSON
    var prevAppHash: HashJSON
    var stampMs: UInt64
    var merkleRoot: HashJSON
    var valsHash: HashJSON
    var paramsHash: HashJSON
    var newLeader: PublicKeyJSON?

    init(_ header: BlockHeader) {
        version = 0
        height = header.height
        numTxns = header.transactionCount
        prevHash = HashJSON(header.previousHash)
        prevAppHash = HashJSON(header.previousAppHash)
        stampMs = header.timestamp
        merkleRoot = HashJSON(header.merkleRoot)
        valsHash = HashJSON(header.validatorSetHash)
        paramsHash = HashJSON(header.networkParametersHash)
        newLeader = header.newLeader.map(PublicKeyJSON.init)
    }
}

/// A public key as kwil-db writes it in JSON.
struct PublicKeyJSON: Codable, Sendable {
    var type: String
    var key: String

    init(_ key: PublicKey) {
        type = key.type.name
        self.key = Hex.encode(key.bytes)
    }
}

/// A block with its transactions.
struct BlockJSON: Codable, Sendable {
    var header: BlockHeaderJSON
    var txns: [TransactionJSON]
    var sig: Data

    init(_ block: Block) throws(ChainError) {
        header = BlockHeaderJSON(block.header)
        var transactions: [TransactionJSON] = []
        for bytes in block.transactions {
            transactions.append(TransactionJSON(try Transaction(decoding: bytes)))
        }
        txns = transactions
        sig = Data(block.signature.array)
    }
}

/// What validators said of a block.
struct CommitInfoJSON: Codable, Sendable {
    struct Signature: Codable, Sendable {
        var key: String
        var keyType: String
        var sig: Data

        private enum CodingKeys: String, CodingKey {
            case key, sig
            case keyType = "type"
        }
    }

    struct Vote: Codable, Sendable {
        var ack: Int32
        var appHash: HashJSON?
        var sig: Signature
    }

    struct Validator: Codable, Sendable {
        var pubkey: String
        var type: String
        var power: Int64
    }

    var appHash: HashJSON
    var votes: [Vote]
    var validatorUpdates: [Validator]?

    init(_ info: CommitInfo) {
        appHash = HashJSON(info.appHash)
        votes = info.votes.map { vote in
            let key = vote.signature.publicKey
            let (status, appHash): (Int32, Hash?) =
                switch vote.status {
                case .rejected: (0, nil)
                case .agreed: (1, nil)
                case .forked(let hash): (2, hash)
                }
            return Vote(
                ack: status, appHash: appHash.map(HashJSON.init),
                sig: Signature(
                    key: Hex.encode(key.bytes), keyType: key.type.name,
                    sig: Data(vote.signature.signature.array)))
        }
        validatorUpdates =
            info.validatorUpdates.isEmpty
            ? nil
            : info.validatorUpdates.map {
                Validator(
                    pubkey: Hex.encode($0.account.identifier), type: $0.account.keyType.name, power: $0.power)
            }
    }
}
