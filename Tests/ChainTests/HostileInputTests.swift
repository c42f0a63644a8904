import Bytes
import Chain
import Collections
import Crypto
import TestSupport
import Testing

/// Every decoder against hostile bytes: truncated at each place, flipped, extended, of another version.
@Suite struct HostileInputTests {
    /// One kind of message: its bytes, and a decoder that encodes the result again.
    struct Sample: Sendable {
        let name: String
        let bytes: SharedBytes
        let decode: @Sendable (SharedBytes) throws -> [UInt8]

        init(
            _ name: String, _ bytes: SharedBytes,
            _ decode: @escaping @Sendable (SharedBytes) throws -> [UInt8]
        ) {
            self.name = name
            self.bytes = bytes
            self.decode = decode
        }

        /// Creates a sample of a transaction's payload.
        init(payloadOf transaction: ReferenceVectors.Transaction) throws {
            let type = transaction.payloadType
            self.init("payload \(type)", SharedBytes(try Hex.decode(transaction.payload))) { input in
                let body = TransactionBody(payload: input, payloadType: type, nonce: 1, chainID: "")
                return try Payload(of: body).bytes
            }
        }
    }

    let samples: [Sample]

    /// Returns a status with all its parts.
    static func status(_ vectors: KwilVectors, _ header: BlockHeader) throws -> ConsensusStatus {
        let key = try vectors.key(1)
        let block = Block.signed(header, transactions: [], by: key)
        return ConsensusStatus(
            height: header.height, phase: .committing, best: header, leaderSignature: block.signature,
            vote: .init(height: 9, stamp: 8, block: block.hash, isAck: true, oldestHeight: 3),
            proposal: BlockProposal(block, sender: key.publicKey), follows: key.publicKey,
            commit: BlockAnnouncement(block, CommitInfo(appHash: .zero, votes: [])))
    }

    init() throws {
        let own = try KwilVectors.load()
        let reference = try ReferenceVectors.load()
        let key = try own.key(4).publicKey
        var header = try BlockHeader(decoding: bytes(own.blocks[2].header))
        header.newLeader = key
        let result = TransactionResult(.invalidNonce, gas: 5, log: "nonce 3, expected 2")
        let update = try bytes(reference.parameterUpdates[2].bytes)
        var samples = [
            Sample("transaction", try bytes(reference.transactions[0].bytes)) {
                try Transaction(decoding: $0).bytes.array
            },
            Sample("body", try bytes(reference.transactions[0].body)) {
                try TransactionBody(decoding: $0).bytes
            },
            Sample("block", try bytes(own.blocks[3].bytes)) {
                let block = try Block(decoding: $0)
                return Block(
                    header: block.header, signature: block.signature.array, transactions: block.transactions
                ).bytes.array
            },
            Sample("header", SharedBytes(header.bytes)) { try BlockHeader(decoding: $0).bytes },
            Sample("commit info", try bytes(own.blocks[3].commitInfo)) { try CommitInfo(decoding: $0).bytes },
            Sample("consensus status", SharedBytes(try Self.status(own, header).bytes)) {
                try ConsensusStatus(decoding: $0).bytes
            },
            Sample(
                "commit done",
                SharedBytes(
                    CommitDone(height: 7, block: header.hash, appHash: .zero, by: try own.key(1)).bytes)
            ) { try CommitDone(decoding: $0).bytes },
            Sample("ack", try bytes(own.acks[0].bytes)) { try AckRes(decoding: $0).bytes },
            Sample("nack", try bytes(own.acks[3].bytes)) { try AckRes(decoding: $0).bytes },
            Sample("reset", try bytes(own.resets[1].bytes)) { try ConsensusReset(decoding: $0).bytes },
            Sample("proposal", try bytes(own.blocks[1].proposal)) { try BlockProposal(decoding: $0).bytes },
            Sample("announcement", try bytes(own.blocks[3].announcement)) {
                try BlockAnnouncement(decoding: $0).bytes
            },
            Sample("parameter updates", update) { try ParameterUpdates(decoding: $0).bytes },
            Sample("validator", SharedBytes(Validator(key: key, power: 7).bytes)) {
                try Validator(decoding: $0).bytes
            },
            Sample("account", SharedBytes(AccountID(key).bytes)) { try AccountID(decoding: $0).bytes },
            Sample("result", SharedBytes(result.bytes)) { try TransactionResult(decoding: $0).bytes },
        ]
        for index in [0, 1, 2, 3, 4, 5, 6] {
            samples.append(try Sample(payloadOf: reference.transactions[index]))
        }
        for entry in reference.values {
            samples.append(
                Sample("value \(entry.about)", try bytes(entry.bytes)) { try Value(decoding: $0).bytes })
        }
        self.samples = samples
    }

    @Test func roundTrip() throws {
        for sample in samples {
            #expect(try sample.decode(sample.bytes) == sample.bytes.array, "\(sample.name)")
        }
    }

    @Test func truncatedAtEveryByte() {
        for sample in samples {
            for count in 0..<sample.bytes.count {
                #expect(throws: ChainError.self, "\(sample.name) cut at \(count)") {
                    _ = try sample.decode(sample.bytes.slice(0..<count))
                }
            }
        }
    }

    @Test func trailingByte() {
        for sample in samples where !sample.name.hasPrefix("value text") && sample.name != "value bytea" {
            #expect(throws: ChainError.self, "\(sample.name)") {
                _ = try sample.decode(SharedBytes(sample.bytes.array + [0]))
            }
        }
    }

    /// Accepted bytes must encode to themselves: every value has one form.
    @Test func flippedBytesAreRefusedOrCanonical() {
        for sample in samples {
            let original = sample.bytes.array
            for index in original.indices {
                for mask: UInt8 in [0x01, 0x80, 0xFF, 0x7F] {
                    var changed = original
                    changed[index] ^= mask
                    if let again = try? sample.decode(SharedBytes(changed)) {
                        #expect(again == changed, "\(sample.name), byte \(index) ^ \(mask)")
                    }
                }
            }
        }
    }

    @Test func randomBytes() {
        var generator = SeededGenerator(seed: 7)
        for sample in samples {
            for _ in 0..<300 {
                let count = Int(generator.next() % 200)
                let noise = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                _ = try? sample.decode(SharedBytes(noise))
                // The sample's start followed by noise reaches deeper into the decoder.
                let start = Int(generator.next() % UInt64(sample.bytes.count + 1))
                _ = try? sample.decode(SharedBytes(Array(sample.bytes.array.prefix(start)) + noise))
            }
        }
    }

    @Test func unknownVersionsAreRefused() throws {
        for name in [
            "transaction", "block", "header", "payload raw_statement", "account", "validator",
            "parameter updates",
        ] {
            let sample = try #require(samples.first { $0.name == name })
            var changed = sample.bytes.array
            changed[0] = 1
            #expect(throws: ChainError.self, "\(name)") { _ = try sample.decode(SharedBytes(changed)) }
        }
    }

    @Test func hugeCountsReserveNothing() throws {
        let header = BlockHeader(
            height: 1, transactionCount: .max, previousHash: .zero, previousAppHash: .zero,
            validatorSetHash: .zero,
            networkParametersHash: .zero, timestamp: 0, merkleRoot: .zero)
        #expect(throws: ChainError.malformed("block", .truncated)) {
            _ = try Block(decoding: SharedBytes(header.bytes + [0]))
        }
        var writer = ByteWriter()
        writer.put(u64: 1)
        writer.put(u64: .max)
        #expect(throws: ChainError.malformed("consensus reset", .truncated)) {
            _ = try ConsensusReset(decoding: SharedBytes(writer.bytes))
        }
        var info = ByteWriter()
        info.put(bytes: Hash.zero)
        info.put(uvarint: .max)
        #expect(throws: ChainError.self) { _ = try CommitInfo(decoding: SharedBytes(info.bytes)) }
    }

    @Test func nonMinimalLengthsAreRefused() throws {
        // version, then the signature's length 0 in two bytes
        #expect(throws: ChainError.malformed("transaction", .overlong)) {
            _ = try Transaction(decoding: SharedBytes([0, 0, 0x80, 0x00]))
        }
    }
}
