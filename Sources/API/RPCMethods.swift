import Foundation

/// The methods that a node answers, each with its parameters and its result.
///
/// Names and shapes are those of Kwil's OpenRPC documents for the services `user` and `chain`; those of `apus` are ours.
enum RPCMethod: String, CaseIterable, Sendable {
    case userPing = "user.ping"
    case userVersion = "user.version"
    case userChainInfo = "user.chain_info"
    case userHealth = "user.health"
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
}

/// A request: its identifier and either a method with decoded parameters or what is wrong with it.
struct RPCRequest: Decodable, Sendable {
    enum Call: Sendable {
        case ping(PingJSON)
        case version(service: String)
        case chainInfo
        case userHealth
        case chainHealth
        case broadcast(BroadcastParameters)
        case transactionQuery(TransactionQueryParameters)
        case query(QueryParameters)
        case account(AccountParameters)
        case block(BlockParameters)
        case blockHeader(BlockParameters)
        case blockResult(BlockParameters)
        case transaction(TransactionParameters)
        case genesis
        case networkParameters
        case validators
        case unconfirmed(UnconfirmedParameters)
        case status
        case validatorRequests
    }

    /// Nil for a notification, which is not answered.
    let id: JSONRPC.ID?
    let call: Result<Call, JSONRPC.Failure>

    private enum Keys: String, CodingKey {
        case jsonrpc, id, method, params
    }

    init(from decoder: any Decoder) throws {
        guard let container = try? decoder.container(keyedBy: Keys.self) else {
            id = .null
            call = .failure(.init(.invalidRequest, "a request is an object"))
            return
        }
        guard container.contains(.id) else {
            call = Self.call(container)
            // What is no request at all is answered even so; a notification never is.
            if case .failure(let failure) = call, failure.code == JSONRPC.Code.invalidRequest.rawValue {
                id = .null
            } else {
                id = nil
            }
            return
        }
        guard let id = try? container.decode(JSONRPC.ID.self, forKey: .id) else {
            self.id = .null
            call = .failure(.init(.invalidRequest, "id is neither text, a whole number nor null"))
            return
        }
        self.id = id
        call = Self.call(container)
    }

    private static func call(_ container: KeyedDecodingContainer<Keys>) -> Result<Call, JSONRPC.Failure> {
        guard (try? container.decode(String.self, forKey: .jsonrpc)) == JSONRPC.version else {
            return .failure(.init(.invalidRequest, "jsonrpc is not \"2.0\""))
        }
        guard let name = try? container.decode(String.self, forKey: .method) else {
            return .failure(.init(.invalidRequest, "method is not text"))
        }
        guard let method = RPCMethod(rawValue: name) else {
            return .failure(.init(.unknownMethod, "unknown method \"\(name.prefix(100))\""))
        }
        do {
            return .success(try decode(method, container))
        } catch let error as DecodingError {
            return .failure(.init(.invalidParameters, "\(name): \(error.line)"))
        } catch {
            return .failure(.init(.invalidParameters, "\(name): \(error)"))
        }
    }

    private static func decode(_ method: RPCMethod, _ container: KeyedDecodingContainer<Keys>) throws -> Call
    {
        func parameters<P: Decodable>(_: P.Type = P.self) throws -> P {
            try container.decode(P.self, forKey: .params)
        }
        return switch method {
        case .userPing: .ping(try parameters())
        case .userVersion: .version(service: "user")
        case .chainVersion: .version(service: "chain")
        case .userChainInfo: .chainInfo
        case .userHealth: .userHealth
        case .chainHealth: .chainHealth
        case .userBroadcast: .broadcast(try parameters())
        case .userTransactionQuery: .transactionQuery(try parameters())
        case .userQuery: .query(try parameters())
        case .userAccount: .account(try parameters())
        case .chainBlock: .block(try parameters())
        case .chainBlockHeader: .blockHeader(try parameters())
        case .chainBlockResult: .blockResult(try parameters())
        case .chainTransaction: .transaction(try parameters())
        case .chainGenesis: .genesis
        case .chainParameters: .networkParameters
        case .chainValidators: .validators
        case .chainUnconfirmed:
            .unconfirmed(container.contains(.params) ? try parameters() : UnconfirmedParameters())
        case .apusStatus: .status
        case .apusValidatorRequests: .validatorRequests
        }
    }
}

extension DecodingError {
    /// What is wrong and where, in one line.
    var line: String {
        func place(_ context: Context) -> String {
            let path = context.codingPath.map(\.stringValue).filter { !$0.hasPrefix("Index") }
            return path.isEmpty ? "" : path.joined(separator: ".") + ": "
        }
        return switch self {
        case .keyNotFound(let key, let context): "\(place(context))\(key.stringValue) is missing"
        case .valueNotFound(_, let context): "\(place(context))a value is missing"
        case .typeMismatch(_, let context): "\(place(context))\(context.debugDescription)"
        case .dataCorrupted(let context): "\(place(context))\(context.debugDescription)"
        @unknown default: "cannot be decoded"
        }
    }
}
