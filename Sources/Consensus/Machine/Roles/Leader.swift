import Chain
import Crypto

extension Role {
    /// The leader's own state: the step before its next proposal, the answers to its proposal, and the confirmations
    /// of the newest block.
    struct Leader: Sendable {
        /// The answer that the next proposal awaits.
        enum Building: Sendable {
            case nothing
            /// The block, whose time must follow this stamp.
            case block(after: Int64)
            /// The reservation of the block's stamp on disk. `isAgain`: the block was acknowledged before and may have been
            /// committed.
            case stamp(CheckedBlock, isAgain: Bool)
        }

        /// Whether the leader has a record of its proposals at the current height.
        enum Memory: Sendable {
            case whole
            /// It may have proposed before it lost its memory; validators have reported what it may propose now.
            case told
            /// It is asking validators what it may propose.
            case asking(LeaderRecovery)
        }

        /// Why the leader withdraws its own proposal.
        enum Withdrawal: Hashable, Sendable {
            /// Too few validators answered in time; executing the block may take too long.
            case timedOut
            /// Too many validators have voted for a newer block.
            case heldBack
            /// Too many validators refuse the block.
            case refused
            /// Its time is ahead of most validators' clocks, or of this node's own (`isKnown`).
            case tooEarly(isKnown: Bool)
            /// The block exceeds the cost limit on every node; its first `fitting` transactions do not.
            case overBudget(fitting: Int)
            /// The leader's own machine cannot execute the block now, which proves nothing about the block.
            case ownFailure
        }

        var building = Building.nothing
        var memory = Memory.whole
        /// The validators' answers to the proposal.
        var tally = Tally()
        /// The earliest time of the next proposal.
        var nextBuild: Duration
        /// When the newest block was committed.
        private(set) var lastBlock: Duration
        /// The maximum number of transactions in a block, reduced while the leader looks for one that makes blocks fail.
        private(set) var transactionLimit = Int.max
        private(set) var withdrawals = 0
        var withdrawn = WithdrawnBlocks()
        /// The waits before the proposal is sent again to validators that have not answered.
        var resending: Repetition
        /// The waits before the newest block is announced again to validators that have not confirmed it.
        var confirming: Repetition
        var confirmed: Set<PublicKey> = []
        /// When the leader may next follow an unproven claim that it is behind.
        var nextHint: Duration = .zero
        /// When the leader may next respond to an answer on an unknown block.
        var nextInquiry: Duration = .zero
        /// Validators that have given two different answers to one proposal.
        var doubted: Set<PublicKey> = []

        /// Creates the state of a node that begins to lead.
        /// - Parameter opening: the earliest time of the first proposal.
        init(_ settings: ConsensusSettings, opening: Duration, _ now: Duration) {
            nextBuild = opening
            lastBlock = now
            resending = Repetition(first: settings.resendInterval, longest: settings.maximumResendInterval)
            confirming = Repetition(first: settings.announceInterval, longest: settings.maximumResendInterval)
        }

        /// Returns the leader's state at the next height, without that of the decided one.
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

        /// Whether the leader may have proposed something that it does not remember.
        var isAmnesiac: Bool {
            switch memory {
            case .whole: false
            case .told: true
            case .asking(let recovery): recovery.isRequired
            }
        }

        /// Whether the leader has had to ask what it may propose.
        var hasDoubts: Bool { if case .whole = memory { false } else { true } }

        /// The questions to validators, while the leader asks them; setting nil ends that.
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

        /// Notes a withdrawn block, and limits the size and delays the time of the next one.
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
