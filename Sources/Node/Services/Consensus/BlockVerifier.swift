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

    /// The number of small blocks that one thread verifies without a pause: about a millisecond for empty ones.
    private nonisolated static let smallBlocks = 8

    /// Checks the leader's signature and the votes of each committed block against the chain before it, as far as that is
    /// known, then the block itself. A result also holds what `decoded` throws. Throws `ReactorError.closed` while the node
    /// stops.
    ///
    /// The threads share a single block. Several, which should be small, are each verified on one thread, and their
    /// transactions even if the mempool knows them: it seldom knows those of old blocks.
    func verify(
        after state: ChainState, _ candidates: [SyncCandidate]
    ) async throws -> [Result<DecidedBlock, any Error>] {
        if candidates.count == 1 {
            do {
                return [.success(try await verify(after: state, candidates[0]))]
            } catch  where !(error is ReactorError) {
                return [.failure(error)]
            }
        }
        let size = Self.smallBlocks
        return try await checks.run(.high, pieces: (candidates.count + size - 1) / size) { [chainID] piece in
            candidates.dropFirst(piece * size).prefix(size).map { candidate in
                Result {
                    let (commit, hashed) = try Self.proof(of: candidate, after: state)
                    let check = try BlockCheck(of: hashed, chainID: chainID) { _ in nil }
                    return DecidedBlock(commit, try CheckedBlock(check))
                }
            }
        } join: {
            Array($0.joined())
        }
    }

    private func verify(
        after state: ChainState, _ candidate: SyncCandidate
    ) async throws -> DecidedBlock {
        let (commit, hashed) = try await checks.run(.high) { try Self.proof(of: candidate, after: state) }
        return DecidedBlock(commit, try await verify(hashed))
    }

    private nonisolated static func proof(
        of candidate: SyncCandidate, after state: ChainState
    ) throws -> (VerifiedCommit, HashedBlock) {
        let (block, info) = try candidate.decoded()
        let commit = try VerifiedCommit(verifying: BlockAnnouncement(block, info), after: state)
        return (commit, try HashedBlock(hashing: block, expected: commit.hash))
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
