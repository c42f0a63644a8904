import Chain
import Crypto
import Execution
import Multiformats
import Node

/// A validator: with the names of Kwil's OpenRPC documents and with those that kwil-db writes.
struct ValidatorJSON: Codable, Sendable {
    var identifier: String
    var keyType: String
    var pubkey: String
    var type: String
    var power: Int64

    init(_ validator: Validator) {
        identifier = Hex.encode(validator.account.identifier)
        keyType = validator.account.keyType.name
        (pubkey, type) = (identifier, keyType)
        power = validator.power
    }
}

/// `chain.validators`.
struct ValidatorsResult: Codable, Sendable {
    /// Of the latest committed block; the validators vote on the next one.
    var height: Int64
    var validators: [ValidatorJSON]

    init(_ network: NetworkState) {
        height = network.height
        validators = network.validators.map(ValidatorJSON.init)
    }
}

/// `chain.consensus_params`.
struct NetworkParametersJSON: Codable, Sendable {
    var leader: PublicKeyJSON?
    var maxBlockSize: Int64
    /// As kwil-db writes durations: `168h`.
    var joinExpiry: String
    var disabledGasCosts: Bool
    var maxVotesPerTx: Int64
    var maaActivationHeight: Int64?

    init(_ parameters: NetworkParameters) {
        leader = parameters.leader.map(PublicKeyJSON.init)
        maxBlockSize = parameters.maxBlockSize
        joinExpiry = DurationText.format(nanoseconds: parameters.joinExpiry)
        disabledGasCosts = parameters.disabledGasCosts
        maxVotesPerTx = parameters.maxVotesPerTransaction
        maaActivationHeight =
            parameters.maaActivationHeight == 0 ? nil : parameters.maaActivationHeight
    }
}

/// `chain.genesis`.
struct GenesisResult: Codable, Sendable {
    struct Allocation: Codable, Sendable {
        var id: String
        var keyType: String
        var amount: String
    }

    var chainId: String
    var initialHeight: Int64
    var dbOwner: String
    var leader: PublicKeyJSON?
    var validators: [ValidatorJSON]
    var alloc: [Allocation]?
    var maxBlockSize: Int64
    var joinExpiry: String
    var disabledGasCosts: Bool
    var maxVotesPerTx: Int64

    init(_ genesis: Genesis) {
        let parameters = NetworkParametersJSON(genesis.parameters)
        chainId = genesis.chainID
        initialHeight = genesis.initialHeight
        dbOwner = genesis.databaseOwner
        leader = parameters.leader
        validators = genesis.validators.map(ValidatorJSON.init)
        let allocations = genesis.allocations.map {
            Allocation(
                id: Hex.encode($0.account.identifier), keyType: $0.account.keyType.name,
                amount: $0.amount.description)
        }
        alloc = allocations.isEmpty ? nil : allocations
        maxBlockSize = parameters.maxBlockSize
        joinExpiry = parameters.joinExpiry
        disabledGasCosts = parameters.disabledGasCosts
        maxVotesPerTx = parameters.maxVotesPerTx
    }
}

/// `chain.unconfirmed_txs`.
struct UnconfirmedResult: Codable, Sendable {
    struct NamedTransaction: Codable, Sendable {
        var hash: HashJSON
        var tx: TransactionJSON
    }

    /// All that wait, those included that no block could take yet.
    var total: Int
    /// In the order in which a block would take them.
    var txs: [NamedTransaction]
}

/// `apus.validator_requests`.
public struct ValidatorRequestsResult: Codable, Sendable {
    /// A change of the validator set that waits for validators' approvals.
    public struct Request: Codable, Sendable {
        /// `join` or `removal`.
        public var kind: String
        /// Who would join or be removed: `<public key hex>#<key type>`.
        public var nodeId: String
        /// The power that a candidate would have; 0 for a removal.
        public var power: Int64
        /// Milliseconds since 1970 of the block time at which the request is void.
        public var expiresAt: Int64
        /// Node IDs of the validators in favour.
        public var approvedBy: [String]
        /// Their power.
        public var approvedPower: Int64
    }

    /// Of the latest committed block.
    public var height: Int64
    /// The power of all validators.
    public var totalPower: Int64
    /// The oldest first.
    public var requests: [Request]

    init(_ requests: [ValidatorRequest], _ network: NetworkState) {
        height = network.height
        totalPower = Int64(clamping: network.validators.totalPower)
        self.requests = requests.map { request in
            let power = request.approvals.reduce(Int128(0)) { $0 + Int128(network.validators.power(of: $1)) }
            return Request(
                kind: request.kind == .join ? "join" : "removal", nodeId: request.key.nodeID,
                power: request.power, expiresAt: request.expiry,
                approvedBy: request.approvals.map(\.nodeID), approvedPower: Int64(clamping: power))
        }
    }
}
