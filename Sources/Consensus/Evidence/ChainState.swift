import Chain
import Crypto

/// The state of the chain after a node's newest committed block: everything that the next block is checked against.
public struct ChainState: Sendable {
    /// Height of the newest committed block; the genesis' initial height before the first.
    public private(set) var height: Int64
    /// Hash of the newest committed block; zero before the first.
    public private(set) var hash: Hash
    /// The app hash after the newest committed block; zero before the first.
    public private(set) var appHash: Hash
    /// Timestamp of the newest committed block, ms since 1970.
    public private(set) var timestamp: UInt64
    /// Parameters for the next block.
    public let parameters: NetworkParameters
    /// Hash of `parameters`.
    public let parametersHash: Hash
    /// Validators that vote on the next block.
    public let validators: ValidatorSet
    /// Hash of `validators`.
    public let validatorSetHash: Hash
    /// Height of the block that made `leader` the leader; the genesis' height for the first one.
    public let leaderSince: Int64

    /// Creates a state from its parts; without `leaderSince` the leader is new.
    public init(
        height: Int64, hash: Hash, appHash: Hash, timestamp: UInt64, parameters: NetworkParameters,
        validators: ValidatorSet, leaderSince: Int64? = nil
    ) {
        self.leaderSince = leaderSince ?? height
        self.height = height
        self.hash = hash
        self.appHash = appHash
        self.timestamp = timestamp
        self.parameters = parameters
        parametersHash = parameters.hash
        self.validators = validators
        validatorSetHash = validators.hash
    }

    /// Returns the state after `header`'s block was committed with `commit`.
    public func after(
        _ header: BlockHeader, hash: Hash, commit: CommitInfo
    ) throws(ConsensusError) -> ChainState {
        guard header.newLeader != nil || !commit.parameterUpdates.isEmpty || !commit.validatorUpdates.isEmpty
        else {
            var next = self
            (next.height, next.hash, next.appHash) = (header.height, hash, commit.appHash)
            next.timestamp = header.timestamp
            return next
        }
        var parameters = parameters
        var validators = validators
        do throws(ChainError) {
            try parameters.apply(commit.parameterUpdates)
            try validators.apply(commit.validatorUpdates)
        } catch {
            throw .invalidBlock(height: header.height, reason: "its updates cannot be applied: \(error)")
        }
        if let leader = header.newLeader { parameters.leader = leader }
        return ChainState(
            height: header.height, hash: hash, appHash: commit.appHash, timestamp: header.timestamp,
            parameters: parameters, validators: validators,
            leaderSince: parameters.leader == self.parameters.leader ? leaderSince : header.height)
    }

    /// The leader.
    public var leader: PublicKey? { parameters.leader }

    /// Returns whether `header` names these validators and parameters, including the leader, so that its signature
    /// and its votes can be checked against this state.
    public func isBasis(of header: BlockHeader) -> Bool {
        header.validatorSetHash == validatorSetHash && header.networkParametersHash == parametersHash
    }

    /// Returns the key that must have signed a block made on this state: the leader's, or that of the validator that
    /// the header makes the new leader; nil when there is none.
    public func signer(of header: BlockHeader) -> PublicKey? {
        guard let candidate = header.newLeader else { return leader }
        return validators.contains(candidate) ? candidate : nil
    }
}
