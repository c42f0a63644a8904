import Bytes
import Chain
import Crypto
import TestSupport

@testable import Consensus
@testable import Execution

/// What the machine works with: states, checked blocks and checked messages.
extension TestChain {
    var genesis: ChainState {
        ChainState(
            height: 0, hash: .zero, appHash: .zero, timestamp: 0,
            parameters: NetworkParameters(leader: leader.publicKey),
            validators: ValidatorSet(validators.map { Validator(key: $0.publicKey, power: 1) }))
    }

    /// A block after `state`, without transactions unless some are given.
    func block(
        after state: ChainState, stamp: UInt64, transactions: [Transaction] = [],
        by signer: PrivateKey? = nil,
        change: (inout BlockHeader) -> Void = { _ in }
    ) throws -> CheckedBlock {
        var header = TestChain.header(height: state.height + 1, timestamp: stamp)
        header.previousHash = state.hash
        header.previousAppHash = state.appHash
        header.validatorSetHash = state.validatorSetHash
        header.networkParametersHash = state.parametersHash
        change(&header)
        return CheckedBlock(
            Block.signed(header, transactions: transactions, by: signer ?? leader), madeOf: transactions)
    }

    static func appHash(_ block: CheckedBlock) -> Hash { appHash(block.block) }

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
        let info = commitInfo(
            block.block, voters: voters, appHash: appHash,
            parameterUpdates: TestChain.result(block).parameterUpdates(of: block))
        return try VerifiedCommit(verifying: BlockAnnouncement(block.block, info), after: state ?? genesis)
    }

    func transaction(_ nonce: UInt64, by key: PrivateKey? = nil, chainID: String = chainID) throws
        -> Transaction
    {
        let body = TransactionBody(
            .rawStatement(RawStatement("INSERT INTO t VALUES (\(nonce))")), nonce: nonce, chainID: chainID)
        return try Transaction.signed(body, by: key ?? sentry)
    }
}
