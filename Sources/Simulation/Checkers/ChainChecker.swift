import Chain
import Crypto
import Reactor

/// Checks that no two nodes commit different blocks or app hashes at one height, that every committed block has valid
/// votes of more than half of the validators and its leader's signature, and that no transaction is committed twice.
///
/// It shares no state with the nodes: it counts votes and tracks each height's validators and leader itself.
@ReactorActor
final class ChainChecker {
    struct Committed {
        let hash: Hash
        let appHash: Hash
        /// The validators after the block.
        let validators: ValidatorSet
        let leader: PublicKey?
    }

    private let genesis: Genesis
    /// The committed blocks, from the first height on.
    private(set) var chain: [Committed] = []
    private(set) var heights: [Hash: Int64] = [:]
    /// Commit infos already checked, by the hash of their bytes.
    private var checked: Set<Hash> = []

    init(_ genesis: Genesis) { self.genesis = genesis }

    var tip: Int64 { genesis.initialHeight + Int64(chain.count) }

    func committed(at height: Int64) -> Committed? {
        let index = Int(height - genesis.initialHeight) - 1
        return chain.indices.contains(index) ? chain[index] : nil
    }

    /// Returns the number of transactions in the blocks up to a height.
    func transactionCount(upTo height: Int64) -> UInt64 {
        UInt64(heights.values.count { $0 <= height })
    }

    /// Checks a block that a node has committed.
    func commit(_ info: CommitInfo, _ block: Block, by node: String) throws(CheckerFailure) {
        let (height, hash) = (block.header.height, block.hash)
        if let known = committed(at: height) {
            guard known.hash == hash else {
                throw CheckerFailure(
                    "agreement", "\(node) committed \(hash) at height \(height), others \(known.hash)")
            }
            guard known.appHash == info.appHash else {
                throw CheckerFailure(
                    "agreement",
                    "\(node) has app hash \(info.appHash) at height \(height), others \(known.appHash)"
                )
            }
        }
        guard height <= tip + 1 else {
            throw CheckerFailure("agreement", "\(node) committed height \(height), but no node \(tip + 1)")
        }
        let before = committed(at: height - 1)
        let validators = before?.validators ?? genesis.validators
        let leader = block.header.newLeader ?? before?.leader ?? genesis.leader
        if checked.insert(Hash.sha256(of: info.bytes + hash.array + block.signature.array)).inserted {
            try checkSignature(block, leader, node)
            try checkVotes(info, hash, validators, height, node)
        }
        guard committed(at: height) == nil else { return }
        guard block.header.previousHash == before?.hash ?? .zero else {
            throw CheckerFailure("agreement", "\(node): block \(height) does not follow block \(height - 1)")
        }
        for bytes in block.transactions {
            let id = Hash.sha256(of: bytes)
            if let earlier = heights.updateValue(height, forKey: id) {
                throw CheckerFailure("once", "transaction \(id) is in blocks \(earlier) and \(height)")
            }
        }
        var next = validators
        do {
            try next.apply(info.validatorUpdates)
        } catch {
            throw CheckerFailure(
                "agreement", "block \(height) has invalid validator updates: \(error)")
        }
        chain.append(
            Committed(
                hash: hash, appHash: info.appHash, validators: next,
                leader: block.header.newLeader ?? before?.leader ?? genesis.leader))
    }

    private func checkSignature(_ block: Block, _ leader: PublicKey?, _ node: String) throws(CheckerFailure) {
        guard let leader, leader.verify(block.signature, of: block.hash.array) else {
            throw CheckerFailure(
                "quorum", "\(node) committed block \(block.header.height) without its leader's signature")
        }
    }

    private func checkVotes(
        _ info: CommitInfo, _ hash: Hash, _ validators: ValidatorSet, _ height: Int64, _ node: String
    ) throws(CheckerFailure) {
        var agreed: Set<PublicKey> = []
        for vote in info.votes where vote.status == .agreed {
            let key = vote.signature.publicKey
            if validators.contains(key), vote.verify(block: hash, appHash: info.appHash) {
                agreed.insert(key)
            }
        }
        guard 2 * agreed.count > validators.count else {
            throw CheckerFailure(
                "quorum",
                "\(node) committed block \(height) with votes of \(agreed.count) of \(validators.count) validators"
            )
        }
    }
}
