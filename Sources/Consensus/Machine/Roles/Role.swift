import Chain
import Crypto

/// A node's role at the next height, with the state that only this role needs.
enum Role: Sendable {
    case leader(Leader)
    case validator(Validator)
    /// The node neither leads nor votes. Like every node it follows committed blocks (`ConsensusMachine+Following`).
    case follower

    /// The role's name.
    var name: RoleName {
        switch self {
        case .leader: .leader
        case .validator: .validator
        case .follower: .sentry
        }
    }
}

extension ConsensusMachine {
    var isLeader: Bool { role.name == .leader }
    var isValidator: Bool { role.name == .validator }

    /// The leader's own state; nil in another role, which ignores assignments.
    var leader: Role.Leader? {
        get { if case .leader(let leader) = role { leader } else { nil } }
        set { if let newValue, isLeader { role = .leader(newValue) } }
    }

    /// The validator's own state; nil in another role, which ignores assignments.
    var validator: Role.Validator? {
        get { if case .validator(let validator) = role { validator } else { nil } }
        set { if let newValue, isValidator { role = .validator(newValue) } }
    }

    /// The role that the chain gives this node at the next height.
    var rightfulRole: RoleName {
        if proposer == key { return .leader }
        return state.validators.contains(key) ? .validator : .sentry
    }

    /// Takes the role at the next height; the newest block may have changed the validators or the leader. A node that
    /// keeps its role keeps the state that outlives a height. A node that changes its role keeps nothing of the
    /// former one.
    /// - Parameters:
    ///   - former: the role at the height before; nil when the node starts.
    ///   - isOwn: whether the newest block was this node's own proposal.
    mutating func takeRole(after former: Role?, committedOwn isOwn: Bool = false, _ now: Duration) {
        timers.cancel(where: \.isOfRole)
        switch (rightfulRole, former) {
        case (.leader, .leader(let leader)?):
            role = .leader(leader.atNextHeight(now))
            if isOwn {
                self.leader?.memory = .whole
            } else if leader.hasDoubts || candidate == key {
                considerRecovery(now)
            }
        case (.leader, _):
            role = .leader(Role.Leader(settings, opening: opening, now))
            considerRecovery(now)
        case (.validator, .validator(let validator)?): role = .validator(validator.atNextHeight())
        case (.validator, _): role = .validator(Role.Validator(settings))
        case (.sentry, _): role = .follower
        }
        if former != nil, let leader { timers.arm(.confirm, at: now + leader.confirming.first) }
        // Only validators take proposals.
        if !isValidator { current.forgetProposals() }
    }
}
