import Chain
import Multiformats

/// The part of the chain's state that decides which peers matter: this node's role, the leader and the validators.
package struct Membership: Equatable, Sendable {
    package var role: RoleName
    package var leader: PeerID?
    package var validators: [PeerID]

    package init(role: RoleName, leader: PeerID?, validators: [PeerID]) {
        self.role = role
        self.leader = leader
        self.validators = validators
    }
}
