import Chain
import Crypto

extension Role {
    /// What the leader keeps: what its next block waits for, what is said to its proposal, and who has confirmed the newest
    /// block.
    struct Leader: Sendable {
        /// What the next proposal waits for.
        enum Building: Sendable {
            case nothing
            /// The block to be made, with a time that fits after this stamp.
            case block(after: Int64)
            /// Its stamp to be reserved on disk. `isAgain`: it was acknowledged before, and may have been committed.
            case stamp(CheckedBlock, isAgain: Bool)
        }

        /// Whether the leader knows what it has proposed at the present height.
        enum Memory: Sendable {
            case whole
            /// It may have proposed in a life that it does not remember, and was told what it may propose now.
            case told
            /// It asks what it may propose.
            case asking(LeaderRecovery)
        }

        /// Why the leader takes its own proposal back.
        enum Withdrawal: Hashable, Sendable {
            /// Too few answered in time; executing it may take too long.
            case timedOut
            /// Too many have voted for a newer one.
            case heldBack
            /// Too many validators refuse it.
            case refused
            /// Its time is ahead of most validators' clocks, or of this node's own (`isKnown`).
            case tooEarly(isKnown: Bool)
            /// It costs more than a block may, on every node; so many of its first transactions do not.
            case overBudget(fitting: Int)
            /// The leader's own machine cannot execute it now, which says nothing about the block.
            case ownFailure
        }

        var building = Building.nothing
        var memory = Memory.whole
        /// What the validators say to the proposal.
        var tally = Tally()
        /// The earliest time of the next proposal.
        var nextBuild: Duration
        /// When the newest block was committed.
        private(set) var lastBlock: Duration
        /// Transactions a block may have, while the leader looks for one that makes blocks fail.
        private(set) var transactionLimit = Int.max
        private(set) var withdrawals = 0
        var withdrawn = WithdrawnBlocks()
        /// The proposal is sent again to those who do not answer.
        var resending: Repetition
        /// The newest block is announced again to those who do not confirm it.
        var confirming: Repetition
        var confirmed: Set<PublicKey> = []
        /// When the leader may look into an unproven claim that it is behind, and into an answer that it cannot place.
        var nextHint: Duration = .zero
        var nextInquiry: Duration = .zero
        /// Validators that were seen to answer in two ways.
        var doubted: Set<PublicKey> = []

        /// A leader that begins.
        /// - Parameter opening: before this it proposes nothing.
        init(_ settings: ConsensusSettings, opening: Duration, _ now: Duration) {
            nextBuild = opening
            lastBlock = now
            resending = Repetition(first: settings.resendInterval, longest: settings.maximumResendInterval)
            confirming = Repetition(first: settings.announceInterval, longest: settings.maximumResendInterval)
        }

        /// The same leader when the height is decided: what was noted about it is forgotten.
        func atNextHeight(_ now: Duration) -> Leader {
            var leader = self
            leader.tally = Tally()
            leader.lastBlock = now
            leader.withdrawals = 0
            leader.withdrawn = WithdrawnBlocks()
            leader.confirmed = []
            leader.confirming.begin()
            if transactionLimit < .max {
                leader.transactionLimit = transactionLimit > 10_000 ? .max : transactionLimit * 2
            }
            return leader
        }

        // MARK: Memory

        /// Whether it may have proposed what it does not remember.
        var isAmnesiac: Bool {
            switch memory {
            case .whole: false
            case .told: true
            case .asking(let recovery): recovery.isRequired
            }
        }

        /// Whether it asks, or was told, what it may propose.
        var hasDoubts: Bool { if case .whole = memory { false } else { true } }

        /// Not nil while the leader asks what it may propose; nil ends that.
        var recovery: LeaderRecovery? {
            get { if case .asking(let recovery) = memory { recovery } else { nil } }
            set {
                if let newValue {
                    memory = .asking(newValue)
                } else if case .asking(let recovery) = memory {
                    memory = recovery.isRequired ? .told : .whole
                }
            }
        }

        // MARK: Withdrawals

        /// Notes a withdrawn block: how large the next may be, and when it may come.
        mutating func withdraw(
            _ block: CheckedBlock, _ cause: Withdrawal, _ settings: ConsensusSettings, _ now: Duration
        ) {
            withdrawn.note(block.hash)
            tally = Tally()
            limitNextBlock(after: block, cause)
            nextBuild = now + waitAfterWithdrawal(of: block, cause, settings)
        }

        private mutating func limitNextBlock(after block: CheckedBlock, _ cause: Withdrawal) {
            let count = block.transactions.count
            guard count > 1 else { return }
            switch cause {
            case .overBudget(let fitting): transactionLimit = min(max(fitting, 1), count - 1)
            case .timedOut, .refused, .ownFailure: transactionLimit = count / 2
            case .heldBack, .tooEarly: break
            }
        }

        private mutating func waitAfterWithdrawal(
            of block: CheckedBlock, _ cause: Withdrawal, _ settings: ConsensusSettings
        ) -> Duration {
            // The next block is known to fit, or to have the right time.
            switch cause {
            case .overBudget, .tooEarly(isKnown: true): return settings.minimumBlockInterval
            default: break
            }
            withdrawals = min(withdrawals + 1, 16)
            // Halving a full block down to one takes some fifteen rounds.
            if cause == .refused, block.transactions.count > 1 { return settings.resendInterval }
            return min(settings.resendInterval * (1 << min(withdrawals, 6)), settings.maximumResendInterval)
        }
    }
}
