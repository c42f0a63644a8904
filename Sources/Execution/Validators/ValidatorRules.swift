import Chain
import Collections
import Crypto

/// The effects of a block's transactions on the validator set (docs/execution.md, "Validators").
///
/// Deterministic and without I/O: it takes the pending requests and returns them as the block leaves them. Approvals
/// count by the power of the set that votes on the block; changes take effect with the next block. The texts of results
/// are part of the protocol, because the app hash covers them.
struct ValidatorRules {
    /// The pending requests after the transactions so far.
    private(set) var requests: ValidatorRequests
    private let validators: ValidatorSet
    /// The leader of the next block, which can neither leave nor be removed.
    private let leader: PublicKey?
    /// The block's time in ms since 1970.
    private let time: Int64
    private let joinExpiry: Int64
    private let isMigrating: Bool
    /// The validators that left or were removed in this block, in that order.
    private var departed: OrderedSet<PublicKey> = []

    init(
        _ requests: ValidatorRequests, _ block: Block, _ validators: ValidatorSet,
        _ parameters: NetworkParameters
    ) {
        self.requests = requests
        self.validators = validators
        leader = block.header.newLeader ?? parameters.leader
        time = Int64(clamping: block.header.timestamp)
        // Block times are whole milliseconds, so rounding up changes nothing.
        let (quotient, remainder) = parameters.joinExpiry.quotientAndRemainder(dividingBy: 1_000_000)
        joinExpiry = quotient + (remainder > 0 ? 1 : 0)
        isMigrating = NetworkParameters.activeMigrations.contains(parameters.migrationStatus)
    }

    /// Executes an admitted transaction. Returns the result if it fails, nil if it succeeds.
    mutating func perform(_ payload: Payload, by sender: AccountID) -> TransactionResult? {
        if isMigrating {
            return TransactionResult(.networkInMigration, log: "validators do not change during a migration")
        }
        let key = try? PublicKey(type: sender.keyType, bytes: sender.identifier)
        switch payload {
        case .validatorJoin(let power): return join(key, power)
        case .validatorLeave: return leave(key)
        case .validatorApprove(let candidate): return approve(candidate, key)
        case .validatorRemove(let target): return propose(removing: target, key)
        default: return TransactionResult(.invalidTransactionType, log: "not a validator's transaction")
        }
    }

    private mutating func join(_ key: PublicKey?, _ power: UInt64) -> TransactionResult? {
        guard let key else { return refused("an address without a public key cannot validate") }
        if validators.contains(key) { return refused("caller is already a validator") }
        let id = ValidatorRequest.ID(kind: .join, key: key)
        if requests[id] != nil { return refused("validator already has a pending join request") }
        guard let power = Int64(exactly: power), power > 0 else {
            return TransactionResult(.invalidAmount, log: "the power is not within 1...\(Int64.max)")
        }
        guard makeRoom() else { return Self.full }
        requests[id] = request(.join, key, power)
        return nil
    }

    private mutating func leave(_ key: PublicKey?) -> TransactionResult? {
        guard let key, mayVote(key) else { return refused("caller is not a validator") }
        if key == leader { return refused("leader cannot leave validator set") }
        guard validators.count - departed.count > 1 else { return refused("last validator cannot leave") }
        depart(key)
        return nil
    }

    private mutating func approve(_ candidate: PublicKey, _ key: PublicKey?) -> TransactionResult? {
        if candidate == key { return refused("cannot approve own join request") }
        let id = ValidatorRequest.ID(kind: .join, key: candidate)
        guard requests[id] != nil else { return refused("validator does not have a pending join request") }
        guard let key, mayVote(key) else { return refused("caller is not a validator") }
        requests[id]?.approvals.append(key)
        return nil
    }

    private mutating func propose(removing target: PublicKey, _ key: PublicKey?) -> TransactionResult? {
        if target == leader { return refused("leader cannot be removed from validator set") }
        guard let key, mayVote(key) else { return refused("caller is not a validator") }
        guard mayVote(target) else { return refused("target is not a validator") }
        let id = ValidatorRequest.ID(kind: .removal, key: target)
        if requests[id] == nil {
            guard makeRoom() else { return Self.full }
            requests[id] = request(.removal, target, 0)
        }
        requests[id]?.approvals.append(key)
        return nil
    }

    /// Ends the block: grants the requests with enough approvals, then drops those that have expired. Returns the
    /// changed validators, ordered by node ID; power 0 removes one.
    mutating func finish() -> [Validator] {
        var joined: [Validator] = []
        for request in requests.values.filter(isApproved) {
            requests[request.id] = nil
            switch request.kind {
            case .join: joined.append(Validator(key: request.key, power: request.power))
            case .removal:
                // Keep a validator that has become the leader since the proposal, and the last validator.
                let left = validators.count - departed.count + joined.count
                if request.key != leader, left > 1 { depart(request.key) }
            }
        }
        requests.removeAll { $0.value.expiry <= time }
        let updates = joined + departed.map { Validator(key: $0, power: 0) }
        return updates.map { (nodeID: $0.key.nodeID, $0) }.sorted { $0.nodeID < $1.nodeID }.map(\.1)
    }

    private func mayVote(_ key: PublicKey) -> Bool { validators.contains(key) && !departed.contains(key) }

    /// Returns whether validators with at least two thirds of the power approve.
    private func isApproved(_ request: ValidatorRequest) -> Bool {
        guard !request.approvals.isEmpty else { return false }
        let power = request.approvals.reduce(Int128(0)) { $0 + Int128(validators.power(of: $1)) }
        return power * 3 >= validators.totalPower * 2
    }

    /// Removes a validator, its approvals, and any proposal to remove it.
    private mutating func depart(_ key: PublicKey) {
        departed.append(key)
        requests[ValidatorRequest.ID(kind: .removal, key: key)] = nil
        for id in requests.keys { requests[id]?.approvals.remove(key) }
    }

    private func request(_ kind: ValidatorRequest.Kind, _ key: PublicKey, _ power: Int64) -> ValidatorRequest
    {
        let (expiry, overflow) = time.addingReportingOverflow(joinExpiry)
        return ValidatorRequest(
            number: (requests.values.last?.number ?? 0) &+ 1, kind: kind, key: key, power: power,
            expiry: overflow ? .max : expiry)
    }

    /// Makes room for another request by dropping the oldest without approvals if necessary; false if there is none.
    private mutating func makeRoom() -> Bool {
        guard requests.count >= CostModel.validatorRequests.value else { return true }
        guard let oldest = requests.values.first(where: \.approvals.isEmpty) else { return false }
        requests[oldest.id] = nil
        return true
    }

    private func refused(_ log: String) -> TransactionResult { TransactionResult(.invalidSender, log: log) }

    private static let full = TransactionResult(
        .unknownError, log: "\(CostModel.validatorRequests.value) approved requests are pending already")
}
