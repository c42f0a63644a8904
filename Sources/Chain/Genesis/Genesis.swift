import Bytes
import Crypto
import JSON

/// The initial state of a chain: `genesis.json` (docs/wire.md, section 9).
public struct Genesis: Hashable, Sendable {
    /// An account's initial balance.
    public struct Allocation: Hashable, Sendable {
        /// The account.
        public let account: AccountID
        /// The balance, which is not negative.
        public let amount: Amount

        /// Creates an allocation from its parts.
        public init(account: AccountID, amount: Amount) {
            self.account = account
            self.amount = amount
        }
    }

    /// The chain's ID, which every transaction's signature covers.
    public var chainID: String
    /// The height before the first block.
    public var initialHeight: Int64
    /// The owner of the database: a public key, node ID or Ethereum address as text; empty for none.
    public var databaseOwner: String
    /// The validators of the first block, including the leader.
    public var validators: ValidatorSet
    /// The initial balances, ordered by account, each account once.
    public var allocations: [Allocation]
    /// The leader and limits of the first block.
    public var parameters: NetworkParameters

    /// Creates a genesis from its parts, unchecked.
    public init(
        chainID: String, initialHeight: Int64 = 0, databaseOwner: String = "", validators: ValidatorSet,
        allocations: [Allocation] = [], parameters: NetworkParameters
    ) {
        self.chainID = chainID
        self.initialHeight = initialHeight
        self.databaseOwner = databaseOwner
        self.validators = validators
        self.allocations = allocations
        self.parameters = parameters
    }

    /// The leader of the first block.
    public var leader: PublicKey? { parameters.leader }

    /// The account of `databaseOwner`; nil for none.
    public var databaseOwnerAccount: AccountID? { AccountID(text: databaseOwner) }

    /// Reads a genesis file. Every error is one line that names file and field.
    public static func load(_ path: String) throws(ChainError) -> Genesis {
        let content: [UInt8]
        do {
            content = try FileContent.read(path, limit: ChainLimits.genesisBytes)
        } catch {
            throw .genesis("cannot read \(path): \(error)")
        }
        return try Genesis(json: content, file: path)
    }

    /// Parses a genesis file's content; errors name it `file`.
    public init(json: some ByteSource, file: String = "genesis.json") throws(ChainError) {
        do throws(JSONError) {
            self = try GenesisJSON.genesis(try JSONDocument(json).root)
            try validate()
        } catch {
            throw .genesis("\(file): \(error)")
        }
    }

    /// Checks the rules that JSON cannot express. Throws an error with field and reason.
    func validate() throws(JSONError) {
        func require(_ condition: Bool, _ field: String, _ reason: String) throws(JSONError) {
            guard condition else { throw JSONError(.value(reason), path: field) }
        }
        try require(!chainID.isEmpty, "chain_id", "must not be empty")
        try require(
            chainID.utf8.count <= ChainLimits.genesisChainIDBytes, "chain_id",
            "has \(chainID.utf8.count) bytes; a protocol ID has room for \(ChainLimits.genesisChainIDBytes)"
        )
        try require(
            chainID.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value < 0x7F && $0 != "/" }, "chain_id",
            "must be printable ASCII without spaces and slashes, because it is part of a protocol ID")
        try require(initialHeight >= 0, "initial_height", "must be at least 0")
        try require(
            initialHeight <= ChainLimits.greatestNamedHeight, "initial_height",
            "exceeds \(ChainLimits.greatestNamedHeight)")
        try require(
            databaseOwner.isEmpty || databaseOwnerAccount != nil, "db_owner",
            "is not a public key, a node ID or an Ethereum address")
        try require(validators.count > 0, "validators", "must not be empty")
        guard let leader else { throw JSONError(.missing, path: "leader") }
        try require(validators.contains(leader), "leader", "is not one of the validators")
        try require(parameters.maxBlockSize > 0, "max_block_size", "must be at least 1")
        try require(
            parameters.maxBlockSize <= ChainLimits.largestMaxBlockSize, "max_block_size",
            "exceeds \(ChainLimits.largestMaxBlockSize); nodes reject larger blocks")
        try require(parameters.joinExpiry > 0, "join_expiry", "must be longer than 0")
        try require(parameters.maxVotesPerTransaction >= 0, "max_votes_per_tx", "must be at least 0")
        try require(parameters.maaActivationHeight >= 0, "maa_activation_height", "must be at least 0")
    }

    /// The SHA-256 of everything that the nodes of a chain must agree on from the start, independent of the
    /// file's layout. A node stores it with its data, to detect the genesis file of another chain.
    public var hash: Hash {
        var writer = ByteWriter()
        writer.put(u16: 0)
        writer.put(cstring: chainID)
        writer.put(i64: initialHeight)
        writer.put(cstring: databaseOwnerAccount?.description ?? "")
        writer.put(hash: validators.hash)
        writer.put(hash: parameters.hash)
        writer.put(uvarint: UInt64(allocations.count))
        for allocation in allocations {
            writer.put(bytes32: allocation.account.bytes)
            writer.put(bigint: allocation.amount)
        }
        return Hash.sha256(of: writer.bytes)
    }
}

extension AccountID {
    /// Parses an account as people write it: node ID or `<hex>#<key type>`, a public key in hexadecimal, or
    /// an Ethereum address with 0x.
    public init?(text: String) {
        if text.hasPrefix("0x") || text.hasPrefix("0X") {
            guard let bytes = try? Hex.decode(text.dropFirst(2)), bytes.count == 20 else { return nil }
            self.init(identifier: bytes, keyType: .secp256k1)
            return
        }
        let parts = text.split(separator: "#" as Character, omittingEmptySubsequences: false)
        guard let bytes = try? Hex.decode(parts[0]) else { return nil }
        if parts.count == 2 {
            guard let type = try? KeyType(name: parts[1]) else { return nil }
            guard type == .secp256k1 && bytes.count == 20 || (try? PublicKey(type: type, bytes: bytes)) != nil
            else { return nil }
            self.init(identifier: bytes, keyType: type)
            return
        }
        guard parts.count == 1 else { return nil }
        switch bytes.count {
        case 20: self.init(identifier: bytes, keyType: .secp256k1)
        case 32: self.init(identifier: bytes, keyType: .ed25519)
        case 33 where (try? PublicKey(type: .secp256k1, bytes: bytes)) != nil:
            self.init(identifier: bytes, keyType: .secp256k1)
        default: return nil
        }
    }
}
