import Bytes
import Chain
import Collections
import Crypto
import TestSupport
import Testing

@Suite struct ChainTypeTests {
    static func key(_ seed: UInt8) throws -> PrivateKey {
        try TestChain.key(seed)
    }

    @Test func amountsAreCanonical() {
        for text in [
            "", "-", "-0", "00", "01", "+1", "1.0", " 1", "1 ", "٣", String(repeating: "9", count: 257),
        ] {
            #expect(Amount(text) == nil, "\(text)")
        }
        for text in ["0", "1", "-1", "10", String(repeating: "9", count: 256)] {
            #expect(Amount(text)?.description == text)
        }
    }

    @Test func amountArithmeticAgreesWithIntegers() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<2000 {
            let a = Int64(truncatingIfNeeded: generator.next()) >> Int64(generator.next() % 63 + 1)
            let b = Int64(truncatingIfNeeded: generator.next()) >> Int64(generator.next() % 63 + 1)
            #expect((Amount(a) < Amount(b)) == (a < b))
            let mayBeBalances = a >= 0 && b >= 0
            #expect(Amount(a).adding(Amount(b)) == (mayBeBalances ? Amount(a + b) : nil))
            #expect(Amount(a).subtracting(Amount(b)) == (mayBeBalances && a >= b ? Amount(a - b) : nil))
        }
        let most = try #require(Amount(String(repeating: "9", count: 256)))
        #expect(most.adding(1) == nil)
    }

    @Test func merkleRootPairsAnOddLastNodeWithItself() {
        let leaves = (0..<5).map { Hash.sha256(of: [UInt8($0)]) }
        func pair(_ a: Hash, _ b: Hash) -> Hash { Hash.sha256(of: a.array + b.array) }
        #expect(MerkleTree.root(of: []) == .zero)
        #expect(MerkleTree.root(of: [leaves[0]]) == leaves[0])
        #expect(MerkleTree.root(of: Array(leaves[..<2])) == pair(leaves[0], leaves[1]))
        let left = pair(pair(leaves[0], leaves[1]), pair(leaves[2], leaves[3]))
        let last = pair(leaves[4], leaves[4])
        #expect(MerkleTree.root(of: leaves) == pair(left, pair(last, last)))
    }

    @Test func signaturesOfEveryType() throws {
        let ed25519 = try Self.key(1)
        let secp256k1 = try PrivateKey(type: .secp256k1, bytes: [UInt8](repeating: 3, count: 32))
        for (key, ethereum) in [(ed25519, false), (secp256k1, false), (secp256k1, true)] {
            for serialization in [Serialization.concat, .direct] {
                let body = TransactionBody(.validatorJoin(power: 1), nonce: 4, chainID: "c")
                let transaction = try Transaction.signed(
                    body, serialization: serialization, by: key, ethereum: ethereum)
                try transaction.verify()
                #expect(transaction.body == body)
                // A flipped bit anywhere breaks decoding or the signature. Only secp256k1's last byte has
                // several forms, as in the reference (docs/wire.md, section 2).
                for index in transaction.bytes.array.indices {
                    var changed = transaction.bytes.array
                    changed[index] ^= 4
                    guard let other = try? Transaction(decoding: SharedBytes(changed)) else { continue }
                    if transaction.signatureType != .ed25519,
                        other.signature.slice(0..<64) == transaction.signature.slice(0..<64),
                        other.bodyBytes == transaction.bodyBytes, other.sender == transaction.sender
                    {
                        continue
                    }
                    #expect(throws: ChainError.self, "byte \(index)") { try other.verify() }
                }
            }
        }
        #expect(throws: ChainError.notEthereum) {
            _ = try Transaction.signed(
                TransactionBody(.validatorLeave, nonce: 1, chainID: "c"), by: ed25519, ethereum: true)
        }
    }

    @Test func unsignedTransactionDecodesAndDoesNotVerify() throws {
        var writer = ByteWriter()
        writer.put(u16: 0)
        writer.put(u8: 0)
        let body = TransactionBody(.validatorLeave, nonce: 1, chainID: "c").bytes
        writer.put(varint: Int64(body.count))
        writer.put(bytes: body)
        writer.put(uvarint: 6)
        writer.put(text: "direct")
        writer.put(u8: 0)
        let transaction = try Transaction(decoding: SharedBytes(writer.bytes))
        #expect(throws: ChainError.unsigned) { try transaction.verify() }
        #expect(transaction.account == nil)
    }

    @Test func commitNeedsMoreThanHalfOfTheSet() throws {
        let keys = try (1...4).map { try Self.key($0) }
        let set = ValidatorSet(keys.map { Validator(key: $0.publicKey, power: 1) })
        let (block, appHash) = (Hash.sha256(of: [1]), Hash.sha256(of: [2]))
        func vote(_ key: PrivateKey, _ status: VoteInfo.Status = .agreed) -> VoteInfo {
            let signed: Hash? =
                switch status {
                case .agreed: appHash
                case .rejected: nil
                case .forked(let other): other
                }
            return VoteInfo(signature: VoteSignature(block, appHash: signed, by: key), status: status)
        }
        func isCommitted(_ votes: [VoteInfo]) -> Bool {
            CommitInfo(appHash: appHash, votes: votes).isCommitted(block: block, by: set)
        }
        #expect(isCommitted(keys[0..<3].map { vote($0) }))
        #expect(isCommitted(keys[0..<3].map { vote($0) } + [vote(keys[3], .rejected)]))
        #expect(!isCommitted(keys[0..<2].map { vote($0) }))
        #expect(!isCommitted(keys[0..<2].map { vote($0) } + [vote(keys[2], .rejected)]))
        #expect(!isCommitted(keys[0..<2].map { vote($0) } + [vote(keys[2], .forked(block))]))
        #expect(!isCommitted([vote(keys[0]), vote(keys[0]), vote(keys[0])]))
        #expect(!isCommitted(keys[0..<3].map { vote($0) } + [vote(try Self.key(9))]))
        let stolen = VoteInfo(
            signature: VoteSignature(
                publicKey: keys[3].publicKey, signature: vote(keys[0]).signature.signature), status: .agreed)
        #expect(!isCommitted(keys[0..<3].map { vote($0) } + [stolen]))
    }

    @Test func validatorUpdates() throws {
        let keys = try (1...3).map { try Self.key($0).publicKey }
        var set = ValidatorSet(keys.map { Validator(key: $0, power: 1) })
        try set.apply([Validator(key: keys[0], power: 0), Validator(key: keys[1], power: 5)])
        #expect(set.count == 2)
        #expect(set.power(of: keys[1]) == 5)
        #expect(!set.contains(keys[0]))
        #expect(throws: ChainError.self) {
            try set.apply([Validator(key: keys[1], power: 0), Validator(key: keys[2], power: 0)])
        }
        #expect(set.keys == set.keys.sorted { $0.nodeID < $1.nodeID })
    }

    @Test func accountTexts() throws {
        let key = try PrivateKey(type: .secp256k1, bytes: [UInt8](repeating: 3, count: 32)).publicKey
        let address = try #require(key.ethereumAddress)
        #expect(
            AccountID(text: "0x" + Hex.encode(address)) == AccountID(identifier: address, keyType: .secp256k1)
        )
        #expect(AccountID(text: Hex.encode(key.bytes)) == AccountID(key))
        #expect(AccountID(text: key.nodeID) == AccountID(key))
        for text in ["", "0x12", "xyz", "00#ed25519", "00#rsa", "0x" + Hex.encode(key.bytes), "a#b#c"] {
            #expect(AccountID(text: text) == nil, "\(text)")
        }
    }

    @Test func longResultLogIsCutAtACharacter() throws {
        let result = TransactionResult(.unknownError, log: String(repeating: "☃", count: 5000))
        #expect(result.log.utf8.count <= ChainLimits.resultLogBytes)
        #expect(result.log.utf8.count > ChainLimits.resultLogBytes - 3)
        #expect(try TransactionResult(decoding: SharedBytes(result.bytes)) == result)
    }

    @Test func generatedPayloadsRoundTrip() throws {
        var generator = SeededGenerator(seed: 11)
        func element(_ type: DataType.Name) -> Value.Element {
            if generator.next() % 5 == 0 { return .null }
            let noise = SharedBytes((0..<16).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
            switch type {
            case .text: return .text(String(generator.next(), radix: 36))
            case .int8: return .int8(Int64(bitPattern: generator.next()))
            case .bytea: return .bytea(noise)
            case .bool: return .bool(generator.next() % 2 == 0)
            case .uuid: return .uuid(noise)
            case .numeric: return .numeric("\(Int64(bitPattern: generator.next())).5E+3")
            case .null: return .null
            }
        }
        let types: [DataType.Name] = [.text, .int8, .bytea, .bool, .uuid, .numeric, .null]
        for round in 0..<200 {
            let parameters = try (0..<round % 9).map { index in
                let type = types[index % types.count]
                let members = (0..<index).map { _ in element(type) }
                let value =
                    index % 2 == 0 ? try #require(Value.array(of: type, members)) : Value(element(type))
                return RawStatement.Parameter("$p\(index)", value)
            }
            let payload = Payload.rawStatement(RawStatement("SELECT \(round)", parameters))
            let body = TransactionBody(payload, nonce: UInt64(round), chainID: "c")
            #expect(try Payload(of: body) == payload)
            #expect(try TransactionBody(decoding: SharedBytes(body.bytes)) == body)
        }
    }
}
