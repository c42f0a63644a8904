import Multiformats

/// The part of the chain's state that decides which peers matter: this node's role, the leader and the validators.
package struct Membership: Equatable, Sendable {
    /// This node's part in its chain.
    package enum Role: Equatable, Sendable { case leader, validator, sentry }

    package var role: Role
    package var leader: PeerID?
    package var validators: [PeerID]

    package init(role: Role, leader: PeerID?, validators: [PeerID]) {
        self.role = role
        self.leader = leader
        self.validators = validators
    }
}
