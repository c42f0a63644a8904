import Bytes
import Chain
import Crypto
import Protocols
import Reactor

/// A forgery of a committed block or its commit info that every node must detect.
enum Forgery: CaseIterable {
    /// The commit info has a single vote.
    case fewVotes
    /// The commit info repeats one vote until there are enough.
    case repeatedVote
    /// The votes come from keys that are no validators'.
    case impostors
    /// The votes were cast for another app hash.
    case applicationHash
    /// The signature is not the leader's.
    case signature
    /// One bit of a transaction is flipped.
    case flippedBit
    /// One transaction is not in the block's Merkle tree.
    case otherTransaction

    /// Returns the forged block and commit info; `identity` signs where a signature is needed.
    @ReactorActor
    func made(of known: FetchedBlock, _ world: World, by identity: PrivateKey) -> (Block, CommitInfo) {
        let (block, info) = (known.block, known.commitInfo)
        func proof(_ votes: [VoteInfo], _ appHash: Hash) -> CommitInfo {
            CommitInfo(
                appHash: appHash, votes: votes, parameterUpdates: info.parameterUpdates,
                validatorUpdates: info.validatorUpdates)
        }
        let few = Array(info.votes.prefix(1))
        switch self {
        case .fewVotes: return (block, proof(few, info.appHash))
        case .repeatedVote:
            return (block, proof((0..<world.options.validators).flatMap { _ in few }, info.appHash))
        case .impostors:
            var votes: [VoteInfo] = []
            for index in 0..<world.options.validators {
                guard let key = try? World.key("impostor \(index)", world.options.seed, index) else {
                    continue
                }
                votes.append(
                    VoteInfo(
                        signature: VoteSignature(block.hash, appHash: info.appHash, by: key), status: .agreed)
                )
            }
            return (block, proof(votes, info.appHash))
        case .applicationHash: return (block, proof(info.votes, .zero))
        case .signature:
            return (with(block, block.transactions, identity.sign(block.hash)), info)
        case .flippedBit:
            guard var last = block.transactions.last?.array, !last.isEmpty else { return (block, info) }
            last[last.count / 2] ^= 1
            return (with(block, block.transactions.dropLast() + [SharedBytes(last)]), info)
        case .otherTransaction:
            let body = TransactionBody(
                .transfer(to: AccountID(identity.publicKey), amount: 0), nonce: 1,
                chainID: world.genesis.chainID)
            guard !block.transactions.isEmpty, let other = try? Transaction.signed(body, by: identity) else {
                return (block, info)
            }
            return (with(block, block.transactions.dropLast() + [other.bytes]), info)
        }
    }

    private func with(_ block: Block, _ transactions: [SharedBytes], _ signature: [UInt8]? = nil) -> Block {
        Block(header: block.header, signature: signature ?? block.signature.array, transactions: transactions)
    }
}
