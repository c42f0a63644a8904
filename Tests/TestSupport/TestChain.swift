import Bytes
import Chain
import Crypto

/// A small chain of known keys, with signed blocks and votes: each block's application hash follows from the block.
public struct TestChain: Sendable {
    /// A block with what the network decided about it.
    public struct Link: Sendable {
        /// The block and the IDs of its transactions.
        public let hashed: HashedBlock
        /// The votes of all validators.
        public let commitInfo: CommitInfo
        /// One result for each transaction.
        public let results: [TransactionResult]

        /// The block.
        public var block: Block { hashed.block }
    }

    /// The chain ID of all transactions.
    public static let chainID = "test-chain"

    /// The keys of the validators, the leader first.
    public let validators: [PrivateKey]
    /// The key of somebody who is no validator.
    public let sentry: PrivateKey
    /// The blocks that `init` has made.
    public private(set) var links: [Link] = []

    /// The leader's key.
    public var leader: PrivateKey { validators[0] }

    /// A chain without blocks.
    public init(validators count: Int) throws {
        validators = try (1...count).map { try Self.key($0) }
        sentry = try Self.key(201)
    }

    /// A chain of `count` blocks from `height` on, with one validator. Block n has `transactions(n)` transactions with
    /// payloads of `payload` bytes.
    public init(
        _ count: Int, from height: Int64 = 1, payload: Int = 60, transactions: (Int) -> Int = { $0 % 4 }
    ) throws {
        try self.init(validators: 1)
        let sender = try PrivateKey(type: .secp256k1, bytes: [UInt8](repeating: 7, count: 32))
        var nonce: UInt64 = 0
        for number in 0..<count {
            let signed = try (0..<transactions(number)).map { _ in
                nonce += 1
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: nonce), count: payload)
                return try Transaction.signed(
                    TransactionBody(
                        payload: SharedBytes(bytes), payloadType: "raw_statement", nonce: nonce,
                        chainID: Self.chainID),
                    by: sender)
            }
            let header = Self.header(
                height: height + Int64(number), after: links.last?.block,
                timestamp: 1_700_000_000_000 + UInt64(number))
            let block = Block.signed(header, transactions: signed, by: leader)
            links.append(
                Link(
                    hashed: HashedBlock(block, madeOf: signed), commitInfo: commitInfo(block),
                    results: signed.indices.map {
                        TransactionResult(
                            code: UInt32($0), gas: header.height, log: String(repeating: "x", count: $0))
                    }))
        }
    }

    /// The key whose seed is this number, over and over.
    public static func key(_ number: some BinaryInteger) throws -> PrivateKey {
        try PrivateKey(ed25519Seed: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 32))
    }

    /// A header after a block, or after none, with nothing of what its transactions determine.
    public static func header(height: Int64, after previous: Block? = nil, timestamp: UInt64) -> BlockHeader {
        BlockHeader(
            height: height, transactionCount: 0, previousHash: previous?.hash ?? .zero,
            previousAppHash: previous.map(appHash) ?? .zero, validatorSetHash: .zero,
            networkParametersHash: .zero, timestamp: timestamp, merkleRoot: .zero)
    }

    /// The application hash after a block.
    public static func appHash(_ block: Block) -> Hash {
        Hash.sha256(of: block.header.previousAppHash.array + block.hash.array)
    }

    /// The votes of `voters`, or of all validators, for a block and its application hash.
    public func commitInfo(
        _ block: Block, voters: ArraySlice<PrivateKey>? = nil, appHash: Hash? = nil,
        parameterUpdates: ParameterUpdates = ParameterUpdates()
    ) -> CommitInfo {
        let appHash = appHash ?? Self.appHash(block)
        let votes = (voters ?? validators[...]).map {
            VoteInfo(signature: VoteSignature(block.hash, appHash: appHash, by: $0), status: .agreed)
        }
        return CommitInfo(appHash: appHash, votes: votes, parameterUpdates: parameterUpdates)
    }
}
