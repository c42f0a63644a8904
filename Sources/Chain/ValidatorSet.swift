import Bytes
import Crypto

/// Who votes on a block (docs/wire.md, sections 4 and 5): ordered by node ID, each key once, powers above 0.
public struct ValidatorSet: Hashable, Sendable, Sequence {
    /// By node ID text.
    public let validators: [Validator]
    private let powers: [PublicKey: Int64]

    /// A set of these; of a key that comes twice the later counts, power 0 leaves it out.
    public init(_ validators: some Sequence<Validator>) {
        var powers: [PublicKey: Int64] = [:]
        for validator in validators { powers[validator.key] = validator.power }
        self.powers = powers.filter { $0.value > 0 }
        self.validators = self.powers.map { (nodeID: $0.key.nodeID, Validator(key: $0.key, power: $0.value)) }
            .sorted { $0.nodeID < $1.nodeID }
            .map(\.1)
    }

    /// How many vote.
    public var count: Int { validators.count }

    /// Agreeing votes that commit a block: more than half of the validators, whatever their powers.
    public var quorum: Int { count / 2 + 1 }

    /// NACKs and forks with which the quorum cannot be reached any more.
    public var blocking: Int { count - quorum + 1 }

    /// The sum of the powers.
    public var totalPower: Int128 { validators.reduce(0) { $0 + Int128($1.power) } }

    /// Whether a key votes.
    public func contains(_ key: PublicKey) -> Bool { powers[key] != nil }

    /// A key's power; 0 for one that does not vote.
    public func power(of key: PublicKey) -> Int64 { powers[key] ?? 0 }

    /// Their keys, in order.
    public var keys: [PublicKey] { validators.map(\.key) }

    /// Takes a block's updates over; refuses to become empty.
    public mutating func apply(_ updates: [Validator]) throws(ChainError) {
        if updates.isEmpty { return }
        let next = ValidatorSet(validators + updates)
        guard next.count > 0 else { throw .invalidUpdate("no validator would be left") }
        self = next
    }

    /// SHA-256 over each account ID's bytes and big-endian power.
    public var hash: Hash {
        var writer = ByteWriter()
        for validator in validators {
            writer.put(bytes: validator.account.bytes)
            writer.putBE(i64: validator.power)
        }
        return Hash.sha256(of: writer.bytes)
    }

    /// Goes through the validators in order.
    public func makeIterator() -> IndexingIterator<[Validator]> { validators.makeIterator() }
}
