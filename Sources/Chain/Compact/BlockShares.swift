/// Which validators, the *keepers*, get which transactions of a large block from the leader, to pass them on to the others
/// (docs/protocols.md, "Shares").
///
/// The share of a keeper depends on the round: each is for what the keepers of the rounds before have not passed on.
public struct BlockShares: Hashable, Sendable {
    /// The number of rounds. What is missing after them, the leader sends itself.
    public static let rounds = 3
    /// What the leader sends to each validator directly, in bytes over all validators: sending it takes about as long as a
    /// round trip to a keeper.
    public static let directBytes = 1 << 20

    /// The keepers' places in the block's validator set, ascending.
    public let keepers: [Int]
    /// The same as sent.
    public let validators: PlaceSet

    /// Returns nil for fewer than two keepers, which have nothing to pass on.
    public init?(_ validators: PlaceSet) {
        keepers = validators.places
        self.validators = validators
        guard keepers.count > 1 else { return nil }
    }

    /// Returns the keeper of a transaction, as its place in the validator set. `round` begins with 1. Each round has another keeper
    /// as far as there are enough, and those of what one keeper has not passed on are all the others.
    public func keeper(of place: Int, round: Int) -> Int {
        let count = keepers.count
        let first = place % count
        guard round > 1 else { return keepers[first] }
        return keepers[(first + 1 + (place / count + round - 2) % (count - 1)) % count]
    }

    /// Returns the transactions of `wanted` that belong to a keeper's share.
    public func share(of keeper: Int, round: Int, in wanted: PlaceSet) -> PlaceSet {
        var share = PlaceSet(capacity: wanted.capacity)
        for place in wanted.places where self.keeper(of: place, round: round) == keeper {
            share[place] = true
        }
        return share
    }
}
