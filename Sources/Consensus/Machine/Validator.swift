import Crypto

extension Role {
    /// What a validator that does not lead keeps: whom it takes proposals from, and what it has told and asked the leader.
    struct Validator: Sendable {
        /// Who announces proposals and keeps their blocks back.
        var sources = ProposalSources()
        var withdrawn = WithdrawnBlocks()
        /// The answer to a proposal is sent again while its block is the latest.
        var resending: Repetition
        /// When a proposal beside this node's chain was last answered.
        var outOfSyncAt: Duration?
        /// What was proposed when the leader was last asked.
        var askedAbout: Hash?

        /// A validator that begins.
        init(_ settings: ConsensusSettings) {
            resending = Repetition(first: settings.resendInterval, longest: settings.maximumResendInterval)
        }

        /// The same validator when the height is decided: what was noted about it is forgotten.
        func atNextHeight() -> Validator {
            var validator = self
            validator.withdrawn = WithdrawnBlocks()
            validator.askedAbout = nil
            return validator
        }
    }
}
