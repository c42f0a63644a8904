import Bytes
import Chain
import Crypto

@testable import Consensus
@testable import Execution

/// A small chain made of real keys, blocks and votes, and an application whose hash follows from its blocks'.
struct TestChain {
    let chainID = "consensus-test"
    let leader: PrivateKey
    /// The leader first.
    let validators: [PrivateKey]
    let sentry: PrivateKey
    let genesis: ChainState

    init(validators count: Int) throws {
        validators = try (0..<count).map { try TestChain.key($0) }
        leader = validators[0]
        sentry = try TestChain.key(200)
        genesis = ChainState(
            height: 0, hash: .zero, appHash: .zero, timestamp: 0,
            parameters: NetworkParameters(leader: leader.publicKey),
            validators: ValidatorSet(validators.map { Validator(key: $0.publicKey, power: 1) }))
    }

    static func key(_ number: Int) throws -> PrivateKey {
        try PrivateKey(ed25519Seed: [UInt8](repeating: UInt8(number + 1), count: 32))
    }

    /// A block after `state`, without transactions unless some are given.
    func block(
        after state: ChainState, stamp: UInt64, transactions: [Transaction] = [],
        by signer: PrivateKey? = nil,
        change: (inout BlockHeader) -> Void = { _ in }
    ) throws -> CheckedBlock {
        var header = BlockHeader(
            height: state.height + 1, transactionCount: 0, previousHash: state.hash,
            previousAppHash: state.appHash, validatorSetHash: state.validatorSetHash,
            networkParametersHash: state.parametersHash, timestamp: stamp, merkleRoot: .zero)
        change(&header)
        return CheckedBlock(
            Block.signed(header, transactions: transactions, by: signer ?? leader), madeOf: transactions)
    }

    static func appHash(_ block: CheckedBlock) -> Hash {
        Hash.sha256(of: block.header.previousAppHash.array + block.hash.array)
    }

    static func result(_ block: CheckedBlock, appHash: Hash? = nil) -> ExecutionResult {
        ExecutionResult(
            appHash: appHash ?? TestChain.appHash(block),
            results: block.transactions.map { _ in TransactionResult(.ok) },
            parameterUpdates: ParameterUpdates(),
            validatorUpdates: [], accounts: [])
    }

    func ack(_ block: CheckedBlock, by key: PrivateKey, appHash: Hash? = nil) -> AckRes {
        AckRes(
            height: block.height, block: block.hash,
            answer: .ack(appHash: appHash ?? TestChain.appHash(block)), by: key)
    }

    func verified(_ message: AckRes) throws -> VerifiedAcknowledgement {
        try VerifiedAcknowledgement(verifying: message, leader: leader.publicKey)
    }

    func proposal(_ block: CheckedBlock) throws -> VerifiedProposal {
        try VerifiedProposal(
            verifying: BlockProposal(block.block, sender: leader.publicKey), leader: leader.publicKey)
    }

    /// The commit of a block with the votes of `voters`, all for its right application hash.
    func commit(
        _ block: CheckedBlock, voters: ArraySlice<PrivateKey>? = nil, appHash: Hash? = nil,
        after state: ChainState? = nil
    ) throws -> VerifiedCommit {
        let appHash = appHash ?? TestChain.appHash(block)
        let votes = (voters ?? validators[...]).map {
            VoteInfo(signature: VoteSignature(block.hash, appHash: appHash, by: $0), status: .agreed)
        }
        return try VerifiedCommit(
            verifying: BlockAnnouncement(
                block.block,
                CommitInfo(
                    appHash: appHash, votes: votes,
                    parameterUpdates: TestChain.result(block).parameterUpdates(of: block))),
            after: state ?? genesis)
    }

    func transaction(_ nonce: UInt64, by key: PrivateKey? = nil, chainID: String? = nil) throws -> Transaction
    {
        let body = TransactionBody(
            .rawStatement(RawStatement("INSERT INTO t VALUES (\(nonce))")), nonce: nonce,
            chainID: chainID ?? self.chainID)
        return try Transaction.signed(body, by: key ?? sentry)
    }
}
