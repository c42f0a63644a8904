import Bytes
import Chain
import Crypto
import TestSupport
import Testing

/// Every entry of `kwil-reference.json`.
@Suite struct ReferenceVectorTests {
    let vectors: ReferenceVectors

    init() throws { vectors = try ReferenceVectors.load() }

    @Test func keys() throws {
        for entry in vectors.keys {
            let key = try PrivateKey(type: KeyType(name: entry.type), bytes: Hex.decode(entry.private))
            #expect(hex(key.publicKey.bytes) == entry.public)
            #expect(hex(key.publicKey.wire) == entry.wire)
            #expect(key.publicKey.ethereumAddress.map(Hex.encode) == entry.ethereumAddress)
        }
    }

    @Test func transactions() throws {
        for entry in vectors.transactions {
            let transaction = try Transaction(decoding: bytes(entry.bytes))
            #expect(transaction.id.description == entry.txid)
            #expect(transaction.body.description == entry.description)
            #expect(transaction.body.fee?.description == entry.fee)
            #expect(String(transaction.body.nonce) == entry.nonce)
            #expect(transaction.body.chainID == entry.chainId)
            #expect(hex(transaction.body.payload) == entry.payload)
            #expect(transaction.body.payloadType == entry.payloadType)
            #expect(transaction.serialization.rawValue == entry.serialization)
            #expect(transaction.signatureType.description == entry.signatureType)
            #expect(hex(transaction.signature) == entry.signature)
            #expect(hex(transaction.sender) == entry.sender)
            #expect(hex(transaction.signedMessage) == entry.signedMessage)
            #expect(hex(transaction.body.bytes) == entry.body)
            try transaction.verify()
            let payload = try Payload(of: transaction.body)
            #expect(hex(payload.bytes) == entry.payload)
            #expect(payload.type == entry.payloadType)

            let known = try #require(vectors.keys.first { $0.public == entry.public })
            let key = try PrivateKey(type: KeyType(name: known.type), bytes: Hex.decode(known.private))
            let again = try Transaction.signed(
                transaction.body, serialization: transaction.serialization, by: key,
                ethereum: transaction.signatureType == .ethereum)
            #expect(hex(again.bytes) == entry.bytes)
        }
        let types = Set(vectors.transactions.map(\.payloadType))
        #expect(types.count == 10)
    }

    @Test func payloadsOfEachType() throws {
        for entry in vectors.transactions {
            switch try Payload(of: Transaction(decoding: bytes(entry.bytes)).body) {
            case .rawStatement(let statement):
                #expect(statement.sql.hasPrefix("{main}INSERT INTO t VALUES"))
                #expect(statement.parameters.map(\.name) == ["$a", "$b", "$c", "$d", "$e", "$f"])
                #expect(statement.parameters[0].value.scalar == .text("naïve ☃"))
                #expect(statement.parameters[1].value == .int8(.min))
                #expect(statement.parameters[2].value == .null)
            case .execute(let call):
                #expect(call.namespace == "main")
                #expect(call.action == "record")
                #expect(call.arguments == [[.text("k"), .int8(1)], [.text("l"), .int8(2)]])
            case .transfer(let account, let amount):
                #expect(account.keyType == .ed25519)
                #expect(amount == Amount("1000000007"))
            case .validatorJoin(let power): #expect(power == 1)
            case .validatorLeave: #expect(entry.payload == "0000")
            case .validatorApprove(let key): #expect(key == (try vectors.publicKey(hex(key.bytes))))
            case .validatorRemove(let key): #expect(key.type == .secp256k1)
            case .other(let type, let payload):
                #expect(["create_resolution", "approve_resolution", "validator_vote_ids"].contains(type))
                #expect(hex(payload) == entry.payload)
            }
        }
    }

    @Test func blocks() throws {
        for entry in vectors.blocks {
            let block = try Block(decoding: bytes(entry.bytes))
            #expect(block.hash.description == entry.hash)
            #expect(block.height == entry.height)
            #expect(hex(block.header.bytes) == entry.header)
            #expect(block.header.timestamp == entry.timestampMs)
            #expect(block.header.merkleRoot.description == entry.merkleRoot)
            #expect(try HashedBlock(hashing: block).transactionIDs.map(\.description) == entry.txids ?? [])
            let leader = try vectors.publicKey(entry.leader)
            #expect(block.verifySignature(leader))
            let again = Block(
                header: block.header, signature: block.signature.array, transactions: block.transactions)
            #expect(hex(again.bytes) == entry.bytes)

            let info = try CommitInfo(decoding: bytes(entry.commitInfo))
            #expect(info.appHash.description == entry.appHash)
            #expect(hex(info.bytes) == entry.commitInfo)
            #expect(info.isCommitted(block: block.hash, by: try validators()))
            #expect(!info.isCommitted(block: info.appHash, by: try validators()))
        }
    }

    @Test func acknowledgements() throws {
        for entry in vectors.acks {
            let ack = try AckRes(decoding: bytes(entry.bytes))
            #expect(hex(ack.bytes) == entry.bytes)
            #expect(ack.verify())
            #expect((ack.appHash != nil) == entry.text.hasPrefix("ACK"))
            if let appHash = ack.appHash {
                #expect(
                    entry.text
                        == "ACK: height: \(ack.height), block \(ack.block), appHash \(appHash)")
            }
        }
    }

    @Test func networkParameters() throws {
        for entry in vectors.networkParameters {
            var parameters = NetworkParameters(
                leader: entry.leader.isEmpty ? nil : try vectors.publicKey(entry.leader))
            parameters.disabledGasCosts = entry.disabledGasCosts
            parameters.joinExpiry = entry.joinExpiryNs
            parameters.maaActivationHeight = entry.maaActivationHeight
            parameters.maxBlockSize = entry.maxBlockSize
            parameters.maxVotesPerTransaction = entry.maxVotesPerTx
            parameters.migrationStatus = entry.migrationStatus
            #expect(parameters.hash.description == entry.hash)
        }
    }

    @Test func parameterUpdates() throws {
        let decoded = try vectors.parameterUpdates.map { entry in
            let updates = try ParameterUpdates(decoding: bytes(entry.bytes))
            #expect(hex(updates.bytes) == entry.bytes)
            return updates
        }
        #expect(decoded[0].isEmpty)
        var size = ParameterUpdates()
        size.maxBlockSize = 1_048_576
        #expect(decoded[1] == size)
        var all = ParameterUpdates()
        all.disabledGasCosts = false
        all.joinExpiry = 3_600_000_000_000
        all.leader = try vectors.publicKey("37fcaf441f2084621a8e3d01db40b89c4f8d9e68d42e46dabf6aa063fab7d0c8")
        all.maxBlockSize = 5
        all.maxVotesPerTransaction = 9
        all.migrationStatus = "MigrationCompleted"
        #expect(decoded[2] == all)
    }

    @Test func validatorSet() throws {
        #expect(try validators().hash.description == vectors.validatorSet.hash)
    }

    @Test func values() throws {
        for entry in vectors.values {
            let value = try Value(decoding: bytes(entry.bytes))
            #expect(hex(value.bytes) == entry.bytes)
            #expect(value.type.name.rawValue == entry.type)
            #expect(value.type.isArray == entry.isArray)
            #expect([value.type.precision, value.type.scale] == entry.metadata)
            #expect(try Value(value.type, encodedElements: value.encodedElements) == value)
        }
        func value(_ about: String) throws -> Value {
            try Value(decoding: bytes(try #require(vectors.values.first { $0.about == about }).bytes))
        }
        #expect(try value("int8, least") == .int8(.min))
        #expect(try value("int8, greatest") == .int8(.max))
        #expect(try value("text") == .text("naïve ☃"))
        #expect(try value("bytea") == .bytea([0, 1, 255]))
        #expect(try value("null") == .null)
        #expect(try value("numeric 12345.6789") == .numeric("12345.6789", precision: 9, scale: 4))
        #expect(try value("numeric -0.000000000000000001") == .numeric("-1E-18", precision: 18, scale: 18))
        #expect(try value("int8 array with null") == .array(of: .int8, [.int8(.min), .null]))
        #expect(try value("bool array").elements == [.bool(true), .bool(false)])
    }

    @Test func refusedInputs() throws {
        for entry in vectors.refused {
            let input = try bytes(entry.bytes)
            #expect(throws: ChainError.self, "\(entry.what): \(entry.about)") {
                switch entry.what {
                case "transaction": _ = try Transaction(decoding: input)
                case "block": _ = try Block(decoding: input)
                case "ack": _ = try AckRes(decoding: input)
                case "commit_info": _ = try CommitInfo(decoding: input)
                default: Issue.record("unknown kind \(entry.what)")
                }
            }
        }
        #expect(vectors.refused.count == 9)
    }

    private func validators() throws -> ValidatorSet {
        ValidatorSet(
            try vectors.validatorSet.powers.map {
                Validator(
                    key: try PublicKey(type: KeyType(name: $0.type), bytes: Hex.decode($0.public)),
                    power: $0.power)
            })
    }
}
