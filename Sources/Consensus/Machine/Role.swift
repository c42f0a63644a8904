import Chain
import Crypto

/// What a node is on the chain at its present height.
public enum RoleName: String, Sendable {
    case leader, validator, sentry
}

/// A node's part at the next height, with what only that part needs.
enum Role: Sendable {
    case leader(Leader)
    case validator(Validator)
    case follower(Follower)

    /// Its name for everybody else.
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

    /// The leader's own state; nil in another role, in which nothing can be changed in it.
    var leader: Role.Leader? {
        get { if case .leader(let leader) = role { leader } else { nil } }
        set { if let newValue, isLeader { role = .leader(newValue) } }
    }

    /// The validator's own state; nil in another role, in which nothing can be changed in it.
    var validator: Role.Validator? {
        get { if case .validator(let validator) = role { validator } else { nil } }
        set { if let newValue, isValidator { role = .validator(newValue) } }
    }

    /// The role that the validator set and the leader give to a node.
    static func roleName(of key: PublicKey, _ state: ChainState, promotion: Promotion?) -> RoleName {
        if promotion?.candidate(after: state) ?? state.leader == key { return .leader }
        return state.validators.contains(key) ? .validator : .sentry
    }

    /// The role at the next height, of which the newest commit may have changed the validators or the leader. Who keeps its
    /// role takes along what outlives a height. Who changes it begins anew: nothing of the former role is left.
    /// - Parameters:
    ///   - former: nil at the start.
    ///   - isOwn: whether this node led and the newest block was its own proposal.
    mutating func takeRole(after former: Role?, committedOwn isOwn: Bool = false, _ now: Duration) {
        timers.cancel(where: \.isOfRole)
        switch (Self.roleName(of: key, state, promotion: settings.promotion), former) {
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
        case (.sentry, _): role = .follower(Role.Follower())
        }
        if former != nil, let leader { timers.arm(.confirm, at: now + leader.confirming.first) }
        // Proposals are for validators.
        if !isValidator { current.forgetProposals() }
    }
}
