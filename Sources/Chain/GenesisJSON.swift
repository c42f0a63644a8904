import Crypto
import Foundation
import Multiformats

/// `genesis.json` read and written field by field, so that an error can name the field. Unknown fields are
/// refused: a misspelt one would make another chain. kwil-db's names for a validator's fields are read too.
enum GenesisJSON {
    /// What is wrong with which field.
    struct Failure: Error {
        let field: String
        let reason: String

        init(_ field: String, _ reason: String) {
            self.field = field
            self.reason = reason
        }
    }

    static func genesis(_ data: Data) throws(Failure) -> Genesis {
        let root: JSONValue
        do {
            root = try JSONDecoder().decode(JSONValue.self, from: data)
        } catch let DecodingError.dataCorrupted(context) {
            let detail = (context.underlyingError as NSError?)?.userInfo["NSDebugDescription"] as? String
            throw Failure(
                "", "not JSON: \((detail ?? context.debugDescription).split(separator: "\n").joined())")
        } catch {
            throw Failure("", "not JSON")
        }
        var fields = try Fields(root, "")
        let chainID = try fields.text("chain_id")
        let initialHeight = fields.has("initial_height") ? try fields.integer("initial_height") : 0
        let owner = fields.has("db_owner") ? try fields.text("db_owner") : ""
        var parameters = NetworkParameters(leader: try leader(&fields))
        let validators = try self.validators(&fields)
        let allocations = try self.allocations(&fields)
        if fields.has("max_block_size") { parameters.maxBlockSize = try fields.integer("max_block_size") }
        if fields.has("join_expiry") { parameters.joinExpiry = try fields.nanoseconds("join_expiry") }
        if fields.has("disabled_gas_costs") {
            parameters.disabledGasCosts = try fields.flag("disabled_gas_costs")
        }
        if fields.has("max_votes_per_tx") {
            parameters.maxVotesPerTransaction = try fields.integer("max_votes_per_tx")
        }
        if fields.has("maa_activation_height") {
            parameters.maaActivationHeight = try fields.integer("maa_activation_height")
        }
        try refuseMigration(&fields)
        try fields.finish()
        return Genesis(
            chainID: chainID, initialHeight: initialHeight, databaseOwner: owner, validators: validators,
            allocations: allocations, parameters: parameters)
    }

    private static func leader(_ fields: inout Fields) throws(Failure) -> PublicKey {
        let value = try fields.value("leader")
        if case .text(let text) = value {
            guard let key = try? PublicKey(nodeID: text) else {
                throw Failure("leader", "is not a node ID (<public key hex>#<key type>)")
            }
            return key
        }
        var inner = try Fields(value, "leader")
        let type = try inner.text("type")
        let key = try inner.key("key", type)
        try inner.finish()
        return key
    }

    private static func validators(_ fields: inout Fields) throws(Failure) -> ValidatorSet {
        var validators: [Validator] = []
        var seen: Set<PublicKey> = []
        for (index, value) in try fields.list("validators").enumerated() {
            var inner = try Fields(value, "validators[\(index)]")
            let isForeign = inner.has("pubkey")
            let type = try inner.text(isForeign ? "type" : "key_type")
            let key = try inner.key(isForeign ? "pubkey" : "identifier", type)
            let power = try inner.integer("power")
            guard power > 0 else { throw Failure("\(inner.path).power", "must be at least 1") }
            guard seen.insert(key).inserted else { throw Failure(inner.path, "is there twice") }
            try inner.finish()
            validators.append(Validator(key: key, power: power))
        }
        return ValidatorSet(validators)
    }

    private static func allocations(_ fields: inout Fields) throws(Failure) -> [Genesis.Allocation] {
        guard fields.has("alloc") else { return [] }
        var allocations: [Genesis.Allocation] = []
        var seen: Set<AccountID> = []
        for (index, value) in try fields.list("alloc").enumerated() {
            var inner = try Fields(value, "alloc[\(index)]")
            let id = try inner.text("id")
            let type = try inner.text("key_type")
            let hex = id.hasPrefix("0x") ? String(id.dropFirst(2)) : id
            guard let account = AccountID(text: "\(hex)#\(type)") else {
                throw Failure("\(inner.path).id", "is not an account of key type \(type)")
            }
            let amount = try inner.amount("amount")
            guard !amount.isNegative else { throw Failure("\(inner.path).amount", "must not be negative") }
            guard seen.insert(account).inserted else { throw Failure(inner.path, "is there twice") }
            try inner.finish()
            allocations.append(Genesis.Allocation(account: account, amount: amount))
        }
        return allocations.sorted { $0.account < $1.account }
    }

    /// kwil-db writes these fields into every file; here they may only say that nothing is migrated.
    private static func refuseMigration(_ fields: inout Fields) throws(Failure) {
        if fields.has("state_hash"), try !fields.text("state_hash").isEmpty {
            throw Failure("state_hash", "starting from another chain's state is not supported")
        }
        guard fields.has("migration") else { return }
        var inner = try Fields(try fields.value("migration"), "migration")
        for name in ["start_height", "end_height"] where inner.has(name) {
            guard try inner.integer(name) == 0 else {
                throw Failure("migration.\(name)", "migrations are not supported")
            }
        }
        try inner.finish()
    }
}

extension Genesis {
    /// The genesis file's content.
    public var json: String {
        func quoted(_ text: String) -> String {
            var result = "\""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\"", "\\": result += "\\\(scalar)"
                case _ where scalar.value < 0x20: result += "\\u00" + Hex.encode([UInt8(scalar.value)])
                default: result.unicodeScalars.append(scalar)
                }
            }
            return result + "\""
        }
        func list(_ lines: [String]) -> String {
            lines.isEmpty ? "[]" : "[\n    \(lines.joined(separator: ",\n    "))\n  ]"
        }
        var fields: [(String, String)] = [
            ("chain_id", quoted(chainID)), ("initial_height", "\(initialHeight)"),
            ("db_owner", quoted(databaseOwner)),
        ]
        if let leader {
            fields.append(
                ("leader", #"{"type": "\#(leader.type.name)", "key": "\#(Hex.encode(leader.bytes))"}"#))
        }
        fields.append(
            (
                "validators",
                list(
                    validators.map {
                        #"{"identifier": "\#(Hex.encode($0.key.bytes))", "key_type": "\#($0.key.type.name)", "power": \#($0.power)}"#
                    })
            ))
        if !allocations.isEmpty {
            fields.append(
                (
                    "alloc",
                    list(
                        allocations.map {
                            #"{"id": "\#(Hex.encode($0.account.identifier))", "key_type": "\#($0.account.keyType.name)", "amount": "\#($0.amount)"}"#
                        })
                ))
        }
        fields.append(("max_block_size", "\(parameters.maxBlockSize)"))
        fields.append(("join_expiry", quoted(DurationText.format(nanoseconds: parameters.joinExpiry))))
        fields.append(("disabled_gas_costs", "\(parameters.disabledGasCosts)"))
        fields.append(("max_votes_per_tx", "\(parameters.maxVotesPerTransaction)"))
        if parameters.maaActivationHeight != 0 {
            fields.append(("maa_activation_height", "\(parameters.maaActivationHeight)"))
        }
        return "{\n" + fields.map { "  \"\($0.0)\": \($0.1)" }.joined(separator: ",\n") + "\n}\n"
    }
}
