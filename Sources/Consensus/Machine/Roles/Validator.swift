import Crypto

extension Role {
    /// The state of a validator that does not lead: peers that withhold blocks, and its exchange with the leader.
    struct Validator: Sendable {
        /// Peers that announce proposals and withhold the blocks.
        var sources = ProposalSources()
        var withdrawn = WithdrawnBlocks()
        /// The waits before the answer to the latest proposal is sent again.
        var resending: Repetition
        /// When this node last answered a proposal that does not extend its chain.
        var outOfSyncAt: Duration?
        /// The proposal at the time of the last question to the leader.
        var askedAbout: Hash?

        /// Creates the state of a node that begins to vote.
        init(_ settings: ConsensusSettings) {
            resending = Repetition(first: settings.resendInterval, longest: settings.maximumResendInterval)
        }

        /// Returns the validator's state at the next height, without that of the decided one.
        func atNextHeight() -> Validator {
            var validator = self
            validator.withdrawn = WithdrawnBlocks()
            validator.askedAbout = nil
            return validator
        }
    }
}
