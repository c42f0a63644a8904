import JSON

/// The JSON-RPC methods of a node, by their names on the wire.
///
/// The services `user` and `chain` follow Kwil's OpenRPC documents; the service `apus` is our own.
enum RPCMethod: String, CaseIterable, Sendable {
    case userPing = "user.ping"
    case userVersion = "user.version"
    case userChainInfo = "user.chain_info"
    case userHealth = "user.health"
    case userEstimatePrice = "user.estimate_price"
    case userBroadcast = "user.broadcast"
    case userTransactionQuery = "user.tx_query"
    case userQuery = "user.query"
    case userAccount = "user.account"
    case chainVersion = "chain.version"
    case chainHealth = "chain.health"
    case chainBlock = "chain.block"
    case chainBlockHeader = "chain.block_header"
    case chainBlockResult = "chain.block_result"
    case chainTransaction = "chain.tx"
    case chainGenesis = "chain.genesis"
    case chainParameters = "chain.consensus_params"
    case chainValidators = "chain.validators"
    case chainUnconfirmed = "chain.unconfirmed_txs"
    case apusStatus = "apus.status"
    case apusValidatorRequests = "apus.validator_requests"
    case apusClock = "apus.clock"
    case apusBlockTrace = "apus.block_trace"
    case apusSlowestBlocks = "apus.slowest_blocks"
    case apusTransactionTrace = "apus.tx_trace"
    case apusStageHistograms = "apus.stage_histograms"

    private static let all = Array(allCases)

    /// Returns the method with a name; nil if there is none.
    init?(_ name: JSONText) {
        guard let method = Self.all.first(where: { name == $0.rawValue }) else { return nil }
        self = method
    }

    /// Whether the answer may have many megabytes, so that the call reserves room in the server's budget before it
    /// starts.
    var isLarge: Bool {
        switch self {
        case .userQuery, .userTransactionQuery, .chainBlock, .chainBlockResult, .chainTransaction,
            .chainGenesis, .chainUnconfirmed, .apusStageHistograms:
            true
        default: false
        }
    }
}
