import Chain
import Reactor

/// What a machine waits for. Timers that one transition arms and another cancels are set where that happens: `abandon`,
/// `resend`, `confirm`. The others wait for what several transitions bring about together, and are set after each event.
extension ConsensusMachine {
    enum Timer: Hashable, Sendable {
        /// Leader: the next block is due.
        case build
        /// Leader: too few have answered its proposal in time.
        case abandon
        /// Leader: the newest block is announced again to those who did not confirm it.
        case confirm
        /// Leader: validators are asked again what they voted for, or not waited for any longer.
        case recovery
        /// Leader: the proposal is sent again. Validator: its vote is.
        case resend
        /// Validator: a proposal's block is asked of others than its announcer.
        case offers
        /// A committed block is asked of others than its announcer.
        case decision
        /// The block in hand is executed again.
        case retry
        /// The node counts as level if nothing more is proven.
        case level
        /// A clock that was doubted is looked at again.
        case clock

        /// Whether it belongs to a role, and goes with it.
        var isOfRole: Bool {
            switch self {
            case .build, .abandon, .confirm, .recovery, .resend, .offers: true
            case .decision, .retry, .level, .clock: false
            }
        }
    }

    /// See `Machine`.
    public var deadline: Duration? { timers.deadline }

    /// Sets the timers that follow from the state as a whole.
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

    /// Does what is due now.
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
            // What is due with these, every event looks at.
            case .build, .retry, .level, .clock: break
            }
        }
    }
}
