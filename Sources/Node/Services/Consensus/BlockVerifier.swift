import Chain
import Consensus
import Crypto
import Protocols
import Reactor

/// The one way to verify a peer's block, whether proposed, announced or synced: its hash, its Merkle root, then each
/// transaction that the mempool has not checked (docs/architecture.md, "Path of a block").
///
/// The expensive steps run on a worker that the caller chooses.
@ReactorActor
final class BlockVerifier {
    private let chainID: String
    private let mempool: MempoolService

    init(chainID: String, _ mempool: MempoolService) {
        self.chainID = chainID
        self.mempool = mempool
    }

    /// Checks a block against the hash that the leader signed. Throws `ConsensusError`, or `ReactorError.closed` while the
    /// node stops.
    func verify(_ block: Block, expected: Hash, on worker: Worker) async throws -> CheckedBlock {
        let hashed = try await worker.run { try HashedBlock(hashing: block, expected: expected) }
        return try await check(hashed, on: worker)
    }

    /// Checks the leader's signature and the votes of a committed block against the chain before it, as far as that is known,
    /// then the block itself. Also throws what `fetched` throws.
    func verify(
        after state: ChainState, on worker: Worker, _ fetched: @escaping @Sendable () throws -> FetchedBlock
    ) async throws -> (VerifiedCommit, CheckedBlock) {
        let (commit, hashed) = try await worker.run {
            let found = try fetched()
            let commit = try VerifiedCommit(
                verifying: BlockAnnouncement(found.block, found.commitInfo), after: state)
            return (commit, try HashedBlock(hashing: found.block, expected: commit.hash))
        }
        return (commit, try await check(hashed, on: worker))
    }

    private func check(_ hashed: HashedBlock, on worker: Worker) async throws -> CheckedBlock {
        let isMempoolEmpty = mempool.contents.count == 0
        let known = isMempoolEmpty ? [:] : await mempool.checked(hashed.transactionIDs)
        return try await worker.run { [chainID] in
            try CheckedBlock(checking: hashed, chainID: chainID) { known[$0] }
        }
    }
}
