import Bytes
import Crypto
import JSON
import Multiformats

/// Reads and writes `genesis.json` field by field, so that errors can name the field. Rejects unknown fields,
/// because a misspelt one would make another chain. Also accepts kwil-db's names for a validator's fields.
enum GenesisJSON {
    static func genesis(_ root: JSONValue) throws(JSONError) -> Genesis {
        var fields = try root.members()
        let chainID = try fields.value("chain_id").string()
        let initialHeight = try fields.optional("initial_height")?.integer(Int64.self) ?? 0
        let owner = try fields.optional("db_owner")?.string() ?? ""
        var parameters = NetworkParameters(leader: try leader(try fields.value("leader")))
        let validators = try self.validators(try fields.value("validators"))
        let allocations = try self.allocations(fields.optional("alloc"))
        if let size = fields.optional("max_block_size") { parameters.maxBlockSize = try size.integer() }
        if let expiry = fields.optional("join_expiry") { parameters.joinExpiry = try nanoseconds(expiry) }
        if let flag = fields.optional("disabled_gas_costs") { parameters.disabledGasCosts = try flag.flag() }
        if let votes = fields.optional("max_votes_per_tx") {
            parameters.maxVotesPerTransaction = try votes.integer()
        }
        if let height = fields.optional("maa_activation_height") {
            parameters.maaActivationHeight = try height.integer()
        }
        try refuseMigration(&fields)
        try fields.finish()
        return Genesis(
            chainID: chainID, initialHeight: initialHeight, databaseOwner: owner, validators: validators,
            allocations: allocations, parameters: parameters)
    }

    private static func leader(_ value: JSONValue) throws(JSONError) -> PublicKey {
        if case .text = value.kind {
            guard let key = try? PublicKey(nodeID: try value.string()) else {
                throw value.error("is not a node ID (<public key hex>#<key type>)")
            }
            return key
        }
        var fields = try value.members()
        let key = try key(try fields.value("key"), try fields.value("type"))
        try fields.finish()
        return key
    }

    private static func validators(_ list: JSONValue) throws(JSONError) -> ValidatorSet {
        var validators: [Validator] = []
        var seen: Set<PublicKey> = []
        for value in try list.array() {
            var fields = try value.members()
            let key: PublicKey
            if let foreign = fields.optional("pubkey") {
                key = try self.key(foreign, try fields.value("type"))
            } else {
                key = try self.key(try fields.value("identifier"), try fields.value("key_type"))
            }
            let power = try fields.value("power").integer(Int64.self)
            guard power > 0 else { throw fields.error("power", "must be at least 1") }
            guard seen.insert(key).inserted else { throw value.error("is listed twice") }
            try fields.finish()
            validators.append(Validator(key: key, power: power))
        }
        return ValidatorSet(validators)
    }

    private static func allocations(_ list: JSONValue?) throws(JSONError) -> [Genesis.Allocation] {
        guard let list else { return [] }
        var allocations: [Genesis.Allocation] = []
        var seen: Set<AccountID> = []
        for value in try list.array() {
            var fields = try value.members()
            let id = try fields.value("id").string()
            let typeValue = try fields.value("key_type")
            let type = try keyType(typeValue)
            let hex = id.hasPrefix("0x") ? id.dropFirst(2) : id[...]
            guard let account = AccountID(text: "\(hex)#\(type.name)") else {
                throw fields.error("id", "is not an account of key type \(type.name)")
            }
            let amount = try amount(try fields.value("amount"))
            guard !amount.isNegative else { throw fields.error("amount", "must not be negative") }
            guard seen.insert(account).inserted else { throw value.error("is listed twice") }
            try fields.finish()
            allocations.append(Genesis.Allocation(account: account, amount: amount))
        }
        return allocations.sorted { $0.account < $1.account }
    }

    /// kwil-db writes these fields into every file; here they must say that nothing is migrated.
    private static func refuseMigration(_ fields: inout JSONMembers) throws(JSONError) {
        if let state = fields.optional("state_hash"), try !state.text().isEmpty {
            throw state.error("starting from another chain's state is not supported")
        }
        guard let migration = fields.optional("migration") else { return }
        var inner = try migration.members()
        for name in ["start_height", "end_height"] as [StaticString] {
            guard let height = inner.optional(name) else { continue }
            guard try height.integer(Int64.self) == 0 else {
                throw height.error("migrations are not supported")
            }
        }
        try inner.finish()
    }

    // MARK: Values

    private static func keyType(_ value: JSONValue) throws(JSONError) -> KeyType {
        guard let type = try? KeyType(name: try value.string()) else {
            throw value.error("must be a key type: secp256k1 or ed25519")
        }
        return type
    }

    private static func key(_ value: JSONValue, _ typeValue: JSONValue) throws(JSONError) -> PublicKey {
        let type = try keyType(typeValue)
        guard let bytes = try? Hex.decode(utf8: try value.text()),
            let key = try? PublicKey(type: type, bytes: bytes)
        else { throw value.error("is not a hexadecimal public key of type \(type.name)") }
        return key
    }

    /// Reads an amount as a string, or as a number that fits 64 bits.
    private static func amount(_ value: JSONValue) throws(JSONError) -> Amount {
        switch value.kind {
        case .integer:
            return Amount(try value.integer(Int64.self))
        case .text:
            guard let amount = Amount(try value.string()) else {
                throw value.error("is not a decimal integer")
            }
            return amount
        default: throw value.error("must be a decimal integer in a string")
        }
    }

    /// Reads a duration such as `168h0m0s`, or whole nanoseconds.
    private static func nanoseconds(_ value: JSONValue) throws(JSONError) -> Int64 {
        switch value.kind {
        case .integer:
            return try value.integer()
        case .text:
            guard let nanoseconds = DurationText.nanoseconds(try value.string()) else {
                throw value.error("is not a duration such as \"168h0m0s\", at most 292 years")
            }
            return nanoseconds
        default: throw value.error("must be a duration such as \"168h0m0s\"")
        }
    }
}

extension Genesis {
    /// The genesis file's content.
    public var json: String {
        var writer = JSONWriter(layout: .lines)
        writer.object {
            $0.member("chain_id", text: chainID)
            $0.member("initial_height", integer: initialHeight)
            $0.member("db_owner", text: databaseOwner)
            $0.leader(parameters)
            $0.array("validators", of: validators) { list, validator in
                list.object {
                    $0.member("identifier", hex: validator.key.bytes)
                    $0.member("key_type", text: validator.key.type.name)
                    $0.member("power", integer: validator.power)
                }
            }
            $0.allocations(self)
            $0.limits(parameters)
            $0.activationHeight(parameters)
        }
        writer.endLine()
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

/// Members that JSON-RPC answers share with the genesis file.
extension JSONWriter {
    /// Writes the member `leader`, if there is one.
    package mutating func leader(_ parameters: NetworkParameters) {
        guard let leader = parameters.leader else { return }
        name("leader")
        key(leader)
    }

    /// Writes a public key.
    package mutating func key(_ key: PublicKey) {
        object {
            $0.member("type", text: key.type.name)
            $0.member("key", hex: key.bytes)
        }
    }

    /// Writes the member `alloc`, if there are allocations.
    package mutating func allocations(_ genesis: Genesis) {
        if genesis.allocations.isEmpty { return }
        array("alloc", of: genesis.allocations) { list, allocation in
            list.object {
                $0.member("id", hex: allocation.account.identifier)
                $0.member("key_type", text: allocation.account.keyType.name)
                $0.member("amount", text: allocation.amount.description)
            }
        }
    }

    /// Writes the limits, the expiry in kwil-db's notation: `168h`.
    package mutating func limits(_ parameters: NetworkParameters) {
        member("max_block_size", integer: parameters.maxBlockSize)
        member("join_expiry", text: DurationText.format(nanoseconds: parameters.joinExpiry))
        member("disabled_gas_costs", flag: parameters.disabledGasCosts)
        member("max_votes_per_tx", integer: parameters.maxVotesPerTransaction)
    }

    /// Writes the member `maa_activation_height`, unless it is 0.
    package mutating func activationHeight(_ parameters: NetworkParameters) {
        if parameters.maaActivationHeight != 0 {
            member("maa_activation_height", integer: parameters.maaActivationHeight)
        }
    }
}
