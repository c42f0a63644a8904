import JSON

/// The methods that a node answers.
///
/// Names and shapes are those of Kwil's OpenRPC documents for the services `user` and `chain`; those of `apus` are ours.
enum RPCMethod: CaseIterable, Sendable {
    case userPing, userVersion, userChainInfo, userHealth, userBroadcast, userTransactionQuery, userQuery
    case userAccount
    case chainVersion, chainHealth, chainBlock, chainBlockHeader, chainBlockResult, chainTransaction
    case chainGenesis, chainParameters, chainValidators, chainUnconfirmed
    case apusStatus, apusValidatorRequests

    /// The name on the wire.
    var name: StaticString {
        switch self {
        case .userPing: "user.ping"
        case .userVersion: "user.version"
        case .userChainInfo: "user.chain_info"
        case .userHealth: "user.health"
        case .userBroadcast: "user.broadcast"
        case .userTransactionQuery: "user.tx_query"
        case .userQuery: "user.query"
        case .userAccount: "user.account"
        case .chainVersion: "chain.version"
        case .chainHealth: "chain.health"
        case .chainBlock: "chain.block"
        case .chainBlockHeader: "chain.block_header"
        case .chainBlockResult: "chain.block_result"
        case .chainTransaction: "chain.tx"
        case .chainGenesis: "chain.genesis"
        case .chainParameters: "chain.consensus_params"
        case .chainValidators: "chain.validators"
        case .chainUnconfirmed: "chain.unconfirmed_txs"
        case .apusStatus: "apus.status"
        case .apusValidatorRequests: "apus.validator_requests"
        }
    }

    private static let all = Array(allCases)

    /// The method of this name.
    init?(_ name: JSONText) {
        guard let method = Self.all.first(where: { name == $0.name }) else { return nil }
        self = method
    }

    /// Whether an answer may have many megabytes, so that it needs room in the server's budget before it is begun.
    var isLarge: Bool {
        switch self {
        case .userQuery, .userTransactionQuery, .chainBlock, .chainBlockResult, .chainTransaction,
            .chainGenesis, .chainUnconfirmed:
            true
        default: false
        }
    }
}
