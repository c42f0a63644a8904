import Bytes
import Crypto

/// The validators of a block (docs/wire.md, sections 4 and 5): ordered by node ID, each key once, powers
/// above 0.
public struct ValidatorSet: Hashable, Sendable, Sequence {
    /// The validators, ordered by node ID text.
    public let validators: [Validator]
    private let powers: [PublicKey: Int64]

    /// Creates a set. The last entry for a key counts; power 0 omits it.
    public init(_ validators: some Sequence<Validator>) {
        var powers: [PublicKey: Int64] = [:]
        for validator in validators { powers[validator.key] = validator.power }
        self.powers = powers.filter { $0.value > 0 }
        self.validators = self.powers.map { (nodeID: $0.key.nodeID, Validator(key: $0.key, power: $0.value)) }
            .sorted { $0.nodeID < $1.nodeID }
            .map(\.1)
    }

    /// The number of validators.
    public var count: Int { validators.count }

    /// The number of ACKs that commit a block: more than half of the validators, whatever their powers.
    public var quorum: Int { count / 2 + 1 }

    /// The number of NACKs and forks that make the quorum unreachable.
    public var blocking: Int { count - quorum + 1 }

    /// The sum of the powers.
    public var totalPower: Int128 { validators.reduce(0) { $0 + Int128($1.power) } }

    /// Returns whether a key is a validator's.
    public func contains(_ key: PublicKey) -> Bool { powers[key] != nil }

    /// Returns a key's power, or 0 if it is not a validator's.
    public func power(of key: PublicKey) -> Int64 { powers[key] ?? 0 }

    /// The keys, in order.
    public var keys: [PublicKey] { validators.map(\.key) }

    /// Applies a block's updates. Throws, changing nothing, if no validator would remain.
    public mutating func apply(_ updates: [Validator]) throws(ChainError) {
        if updates.isEmpty { return }
        let next = ValidatorSet(validators + updates)
        guard next.count > 0 else { throw .invalidUpdate("no validator would be left") }
        self = next
    }

    /// The SHA-256 of each account ID's bytes and big-endian power.
    public var hash: Hash {
        var writer = ByteWriter()
        for validator in validators {
            writer.put(bytes: validator.account.bytes)
            writer.putBE(i64: validator.power)
        }
        return Hash.sha256(of: writer.bytes)
    }

    /// Returns an iterator over the validators in order.
    public func makeIterator() -> IndexingIterator<[Validator]> { validators.makeIterator() }
}
