import Bytes
import Chain
import Crypto
import JSON

/// A method with its parameters. Unknown members are ignored, as Kwil's servers do.
enum RPCCall: Sendable {
    case ping(message: JSONText)
    case version(service: StaticString)
    /// A question about the node's state.
    case status(StatusQuestion)
    /// The price of a transaction, which is the same for all.
    case estimatePrice
    case broadcast(Transaction, waitForCommit: Bool)
    case transactionQuery(Hash)
    case transaction(Hash)
    case query(String, [RawStatement.Parameter])
    /// Includes the mempool's transactions if `isPending`.
    case account(AccountID, identifier: JSONText, isPending: Bool)
    case block(BlockName, raw: Bool)
    case blockHeader(BlockName)
    case blockResult(BlockName)
    case genesis
    case networkParameters
    case validators
    /// The maximum number of transactions; 0 for the default.
    case unconfirmed(limit: Int64)
    case validatorRequests
    case clock
    case blockTrace(height: Int64)
    case slowestBlocks(count: Int)
    case transactionTrace(Hash)
    case stageHistograms

    /// The questions about the node's state, each of which has a method.
    enum StatusQuestion: Sendable {
        case chainInfo
        case userHealth
        case chainHealth
        /// The whole of `NodeStatus`.
        case all
    }

    /// How a call names a block: by its hash or, if the hash is absent or zero, by its height. An absent or zero height
    /// names the latest block.
    enum BlockName: Sendable, CustomStringConvertible {
        case hash(Hash)
        case height(Int64)

        var description: String {
            switch self {
            case .hash(let hash): "block \(hash)"
            case .height(0): "latest block"
            case .height(let height): "block \(height)"
            }
        }
    }

    /// Reads the parameters of a method. Throws an error that names the parameter as the client wrote it.
    init(_ method: RPCMethod, _ parameters: JSONValue?) throws(JSONRPC.Failure) {
        do {
            self = try Self.read(method, parameters)
        } catch let error as JSONError {
            throw JSONRPC.Failure(method, error, parameters)
        } catch {
            throw error as? JSONRPC.Failure ?? .init(.internal, "\(error)")
        }
    }

    /// Throws `JSONError` for a parameter of the wrong shape, `JSONRPC.Failure` for an invalid one.
    private static func read(_ method: RPCMethod, _ parameters: JSONValue?) throws -> RPCCall {
        switch method {
        case .userVersion: return .version(service: "user")
        case .chainVersion: return .version(service: "chain")
        case .userChainInfo: return .status(.chainInfo)
        case .userHealth: return .status(.userHealth)
        case .chainHealth: return .status(.chainHealth)
        case .chainGenesis: return .genesis
        case .chainParameters: return .networkParameters
        case .chainValidators: return .validators
        case .apusStatus: return .status(.all)
        case .apusValidatorRequests: return .validatorRequests
        case .apusClock: return .clock
        case .apusStageHistograms: return .stageHistograms
        case .chainUnconfirmed where parameters == nil: return .unconfirmed(limit: 0)
        default: break
        }
        guard let parameters else { throw JSONError(.missing, path: "params") }
        var members = try parameters.members()
        switch method {
        case .userPing: return .ping(message: try members.value("message").text())
        case .userEstimatePrice:
            _ = try TransactionJSON.draft(try members.value("tx"))
            return .estimatePrice
        case .userBroadcast: return try broadcast(&members)
        case .userTransactionQuery: return .transactionQuery(try members.value("tx_hash").hash())
        case .chainTransaction: return .transaction(try members.value("hash").hash())
        case .userQuery: return try query(&members)
        case .userAccount: return try account(&members)
        case .apusBlockTrace: return .blockTrace(height: try members.value("height").integer())
        case .apusSlowestBlocks:
            let count = try members.value("count").integer(Int.self)
            guard (1...mostSlowest).contains(count) else { throw wrong("count must be 1 to \(mostSlowest)") }
            return .slowestBlocks(count: count)
        case .apusTransactionTrace: return .transactionTrace(try members.value("tx_hash").hash())
        case .chainBlock:
            return .block(try block(&members), raw: try members.optional("raw")?.flag() ?? false)
        case .chainBlockHeader: return .blockHeader(try block(&members))
        case .chainBlockResult: return .blockResult(try block(&members))
        default:
            let limit = try members.optional("limit")?.integer(Int64.self) ?? 0
            guard limit >= 0 else { throw wrong("limit must not be negative") }
            return .unconfirmed(limit: limit)
        }
    }

    /// The most blocks in an answer to `apus.slowest_blocks`: about 60 KiB.
    private static let mostSlowest = 100

    private static func wrong(_ reason: String) -> JSONRPC.Failure { .init(.invalidParameters, reason) }

    private static func broadcast(_ members: inout JSONMembers) throws -> RPCCall {
        let transaction = try TransactionJSON.read(try members.value("tx"))
        // 0: answer once the transaction is accepted; 1: once it is committed.
        let sync = try members.optional("sync")?.integer(Int.self) ?? 0
        guard sync == 0 || sync == 1 else { throw wrong("sync must be 0 (accepted) or 1 (committed)") }
        return .broadcast(transaction, waitForCommit: sync == 1)
    }

    private static func query(_ members: inout JSONMembers) throws -> RPCCall {
        let sql = try members.value("query").string()
        let parameters = try members.optional("params")?.object().map { name, value in
            RawStatement.Parameter(name.string, try ValueJSON.read(value))
        }
        return .query(sql, parameters ?? [])
    }

    private static func account(_ members: inout JSONMembers) throws -> RPCCall {
        var inner = try members.value("id").members()
        let identifier = try inner.value("identifier").text()
        let type = try inner.value("key_type").string()
        guard let bytes = try? Hex.decode(utf8: identifier), let type = try? KeyType(name: type) else {
            throw wrong("id must be a hexadecimal identifier and a key type")
        }
        // 0: committed; 1: with the mempool's transactions.
        let status = try members.optional("status")?.integer(Int.self) ?? 0
        guard status == 0 || status == 1 else { throw wrong("status must be 0 (latest) or 1 (pending)") }
        return .account(
            AccountID(identifier: bytes, keyType: type), identifier: identifier, isPending: status == 1)
    }

    private static func block(_ members: inout JSONMembers) throws(JSONError) -> BlockName {
        let height = try members.optional("height")?.integer(Int64.self) ?? 0
        if let hash = try members.optional("hash")?.hash(), hash != .zero { return .hash(hash) }
        return .height(height)
    }
}

extension JSONRPC.Failure {
    /// An error in a method's parameters, with a path relative to them: `user.tx_query: tx_hash is missing`.
    init(_ method: RPCMethod, _ error: JSONError, _ parameters: JSONValue?) {
        var path = error.path[...]
        let outer = parameters?.path ?? "params"
        if path.utf8.count > outer.utf8.count { path = path.dropFirst(outer.count).drop { $0 == "." } }
        if path.utf8.elementsEqual(outer.utf8) { path = "params" }
        self.init(.invalidParameters, "\(method.rawValue): \(path) \(error.message)")
    }
}

extension JSONValue {
    /// Reads a hash: 64 hexadecimal digits, as Kwil writes it, or an array of bytes, as Kwil's OpenRPC documents
    /// describe it.
    func hash() throws(JSONError) -> Hash {
        let bytes: [UInt8]?
        switch kind {
        case .text: bytes = try? Hex.decode(utf8: try text())
        case .array:
            // One byte too many is enough to refuse it.
            bytes = try array().prefix(Hash.count + 1).map { value throws(JSONError) in try value.integer() }
        default: bytes = nil
        }
        guard let bytes, let hash = try? Hash(bytes) else {
            throw error("must be a hash of 64 hexadecimal digits")
        }
        return hash
    }
}
