import Chain
import Reactor

/// The machine's timers. The transitions themselves arm and cancel `abandon`, `resend` and `confirm`. The others depend on
/// several parts of the state at once, so `armTimers` sets them after each event.
extension ConsensusMachine {
    enum Timer: Hashable, Sendable {
        /// Leader: the next block is due.
        case build
        /// Leader: too few validators have answered the proposal.
        case abandon
        /// Leader: announce the newest block again to validators that have not confirmed it.
        case confirm
        /// Leader: ask validators again for their votes, or stop waiting for them.
        case recovery
        /// Leader: send the proposal again. Validator: send the vote again.
        case resend
        /// Validator: ask peers other than the announcer for a proposal's block.
        case offers
        /// Ask peers other than the announcer for a committed block.
        case decision
        /// Execute the current block again.
        case retry
        /// Stop counting as syncing unless more heights have been proven.
        case level
        /// Check a doubted clock again.
        case clock

        /// Whether the timer belongs to a role and ends with it.
        var isOfRole: Bool {
            switch self {
            case .build, .abandon, .confirm, .recovery, .resend, .offers: true
            case .decision, .retry, .level, .clock: false
            }
        }
    }

    /// See `Machine`.
    public var deadline: Duration? { timers.deadline }

    /// Arms or cancels the timers that depend on several parts of the state.
    mutating func armTimers(_ now: Duration) {
        guard halted == nil else { return }
        timers.arm(.build, at: buildDeadline)
        timers.arm(.recovery, at: recoveryDeadline)
        timers.arm(.offers, at: (current.offers + next.offers).lazy.compactMap(\.deadline).min())
        timers.arm(.decision, at: current.decisionFetch?.until)
        timers.arm(.retry, at: retryDeadline)
        timers.arm(.level, at: heights.deadline)
        timers.arm(.clock, at: doubt?.time.map { _ in now + Self.doubtInterval })
    }

    /// Handles the timers that are due.
    mutating func runTimers(_ now: Duration, _ actions: inout [ConsensusAction]) {
        armTimers(now)
        while halted == nil, let timer = timers.popDue(now) {
            switch timer {
            case .abandon:
                if !isCommitting { withdraw("too few validators answered", .timedOut, now, &actions) }
            case .confirm: announceAgain(now, &actions)
            case .recovery: runRecovery(now, &actions)
            case .resend: resend(now, &actions)
            case .offers: runFetches(now, &actions)
            case .decision:
                if let fetch = current.decisionFetch {
                    decidedFetchFailed(fetch.hash, fetch.from, now, &actions)
                }
            // Every event, `timer` included, runs the checks that these timers are for.
            case .build, .retry, .level, .clock: break
            }
        }
    }
}
