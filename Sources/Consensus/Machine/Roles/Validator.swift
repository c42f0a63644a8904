import Crypto

extension Role {
    /// The own state of a validator that does not lead: who lets it down, and what it has told and asked the leader.
    struct Validator: Sendable {
        /// Peers that announce proposals and withhold the blocks.
        var sources = ProposalSources()
        var withdrawn = WithdrawnBlocks()
        /// The waits before the answer to the latest proposal is sent again.
        var resending: Repetition
        /// When this node last answered a proposal that does not extend its chain.
        var outOfSyncAt: Duration?
        /// What was proposed when the leader was last asked.
        var askedAbout: Hash?

        /// Begins to vote.
        init(_ settings: ConsensusSettings) {
            resending = Repetition(first: settings.resendInterval, longest: settings.maximumResendInterval)
        }

        /// The same validator at the next height, without the state of the decided one.
        func atNextHeight() -> Validator {
            var validator = self
            validator.withdrawn = WithdrawnBlocks()
            validator.askedAbout = nil
            return validator
        }
    }
}
