import Chain
import Collections
import Crypto

/// A change of the validator set that waits for validators' approvals (docs/execution.md, "Validators").
public struct ValidatorRequest: Hashable, Sendable {
    /// What is asked for; the numbers are those of the database.
    public enum Kind: Int64, Sendable {
        /// A candidate's request to become a validator.
        case join = 0
        /// A validator's proposal to remove another.
        case removal = 1
    }

    /// What only one request may have.
    struct ID: Hashable {
        let kind: Kind
        let key: PublicKey
    }

    /// Counts up from the oldest pending request.
    let number: Int64
    /// What is asked for.
    public let kind: Kind
    /// Who would join or be removed.
    public let key: PublicKey
    /// The power that a candidate would have; 0 for a removal.
    public let power: Int64
    /// The request is void after the first block of this time or later; ms since 1970.
    public let expiry: Int64
    /// The validators in favour, in the order in which they approved.
    public internal(set) var approvals: OrderedSet<PublicKey> = []

    var id: ID { ID(kind: kind, key: key) }
}

/// The pending requests, the oldest first.
typealias ValidatorRequests = OrderedDictionary<ValidatorRequest.ID, ValidatorRequest>
