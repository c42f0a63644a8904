import Chain
import Collections
import Crypto

/// A pending change of the validator set, which needs approvals (docs/execution.md, "Validators").
public struct ValidatorRequest: Hashable, Sendable {
    /// The kind of change, numbered as in the database.
    public enum Kind: Int64, Sendable {
        /// A candidate's request to become a validator.
        case join = 0
        /// A proposal to remove a validator.
        case removal = 1
    }

    /// The identity of a request: at most one is pending for a kind and key.
    struct ID: Hashable {
        let kind: Kind
        let key: PublicKey
    }

    /// The position among pending requests, increasing from the oldest.
    let number: Int64
    /// The kind of change.
    public let kind: Kind
    /// The key of the candidate, or of the validator to remove.
    public let key: PublicKey
    /// The candidate's power; 0 for a removal.
    public let power: Int64
    /// The time in ms since 1970 at which the request expires: after the first block of this time or later.
    public let expiry: Int64
    /// The validators that approve, in order of approval.
    public internal(set) var approvals: OrderedSet<PublicKey> = []

    var id: ID { ID(kind: kind, key: key) }
}

/// The pending requests, oldest first.
typealias ValidatorRequests = OrderedDictionary<ValidatorRequest.ID, ValidatorRequest>
