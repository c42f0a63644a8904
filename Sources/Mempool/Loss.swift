import Crypto

/// A transaction that the mempool has dropped although it might still be mined.
public struct Loss: Equatable, Sendable {
    /// Why the mempool has dropped a transaction.
    public enum Reason: String, CaseIterable, Sendable {
        /// The mempool was full, and a sender that held less had another.
        case crowdedOut = "crowded_out"
        /// It has waited too long.
        case expired
        /// The operator has lowered the limits.
        case limit
        /// The account's balance no longer covers the fee.
        case unaffordable

        /// A one-line description for logs and replies.
        public var description: String {
            switch self {
            case .crowdedOut: "the mempool is full, and its sender has more in it than others"
            case .expired: "it has waited too long"
            case .limit: "the operator has lowered the mempool's limits"
            case .unaffordable: "the balance no longer covers the fee"
            }
        }
    }

    /// The transaction's ID.
    public let id: Hash
    /// Whether a client of this node had sent it.
    public let isOwn: Bool
    /// Why it was dropped.
    public let reason: Reason
}
