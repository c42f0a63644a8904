import Chain
import Consensus
import Crypto
import Protocols
import Reactor

/// The one way to verify a peer's block, whether proposed, announced or synced: its hash, its Merkle root, then each
/// transaction that the mempool has not checked (docs/architecture.md, "Path of a block").
///
/// Whatever computes runs on the pool of checks, ahead of transactions for the mempool. Signatures are checked by all of its
/// threads.
@ReactorActor
final class BlockVerifier {
    private let chainID: String
    private let mempool: MempoolService
    private let checks: Worker

    init(chainID: String, _ mempool: MempoolService, on checks: Worker) {
        self.chainID = chainID
        self.mempool = mempool
        self.checks = checks
    }

    /// Checks a block against the hash that the leader signed. Throws `ConsensusError`, or `ReactorError.closed` while the
    /// node stops.
    func verify(_ block: Block, expected: Hash) async throws -> CheckedBlock {
        let hashed = try await checks.run(.high) { try HashedBlock(hashing: block, expected: expected) }
        return try await verify(hashed)
    }

    /// Checks the leader's signature and the votes of a committed block against the chain before it, as far as that is known,
    /// then the block itself. Also throws what `fetched` throws.
    func verify(
        after state: ChainState, _ fetched: @escaping @Sendable () throws -> FetchedBlock
    ) async throws -> (VerifiedCommit, CheckedBlock) {
        let (commit, hashed) = try await checks.run(.high) {
            let found = try fetched()
            let commit = try VerifiedCommit(
                verifying: BlockAnnouncement(found.block, found.commitInfo), after: state)
            return (commit, try HashedBlock(hashing: found.block, expected: commit.hash))
        }
        return (commit, try await verify(hashed))
    }

    /// Checks the transactions of a block that is known to be the expected one.
    func verify(_ hashed: HashedBlock) async throws -> CheckedBlock {
        let isMempoolEmpty = mempool.contents.count == 0
        let known = isMempoolEmpty ? [:] : await mempool.checked(hashed.transactionIDs)
        // Mostly the mempool knows almost all, and what is left is not worth another job.
        let (check, block) = try await checks.run(.high) { [chainID] in
            let check = try BlockCheck(of: hashed, chainID: chainID) { known[$0] }
            return (check, check.pieces > 1 ? nil : try CheckedBlock(check))
        }
        if let block { return block }
        return try await checks.run(.high, pieces: check.pieces) {
            try check.check($0)
        } join: {
            CheckedBlock(check, $0)
        }
    }
}
