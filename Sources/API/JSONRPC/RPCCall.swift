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
        let call: Result<RPCCall, JSONRPC.Failure>
        do throws(JSONError) {
            call = try Self.read(method, parameters)
        } catch {
            throw JSONRPC.Failure(method, error, parameters)
        }
        self = try call.get()
    }

    private static func read(
        _ method: RPCMethod, _ parameters: JSONValue?
    ) throws(JSONError) -> Result<RPCCall, JSONRPC.Failure> {
        func members() throws(JSONError) -> JSONMembers {
            guard let parameters else { throw JSONError(.missing, path: "params") }
            return try parameters.members()
        }
        switch method {
        case .userVersion: return .success(.version(service: "user"))
        case .chainVersion: return .success(.version(service: "chain"))
        case .userChainInfo: return .success(.status(.chainInfo))
        case .userHealth: return .success(.status(.userHealth))
        case .chainHealth: return .success(.status(.chainHealth))
        case .chainGenesis: return .success(.genesis)
        case .chainParameters: return .success(.networkParameters)
        case .chainValidators: return .success(.validators)
        case .apusStatus: return .success(.status(.all))
        case .apusValidatorRequests: return .success(.validatorRequests)
        case .chainUnconfirmed where parameters == nil: return .success(.unconfirmed(limit: 0))
        default: break
        }
        var members = try members()
        switch method {
        case .userPing: return .success(.ping(message: try members.value("message").text()))
        case .userBroadcast: return try broadcast(&members)
        case .userTransactionQuery: return .success(.transactionQuery(try members.value("tx_hash").hash()))
        case .chainTransaction: return .success(.transaction(try members.value("hash").hash()))
        case .userQuery: return try query(&members)
        case .userAccount: return try account(&members)
        case .chainBlock:
            let block = try block(&members)
            return .success(.block(block, raw: try members.optional("raw")?.flag() ?? false))
        case .chainBlockHeader: return .success(.blockHeader(try block(&members)))
        case .chainBlockResult: return .success(.blockResult(try block(&members)))
        default:
            let limit = try members.optional("limit")?.integer(Int64.self) ?? 0
            guard limit >= 0 else { return .failure(.init(.invalidParameters, "limit must not be negative")) }
            return .success(.unconfirmed(limit: limit))
        }
    }

    private static func broadcast(
        _ members: inout JSONMembers
    ) throws(JSONError) -> Result<RPCCall, JSONRPC.Failure> {
        let transaction = try TransactionJSON.read(try members.value("tx"))
        // 0: answer once the transaction is accepted; 1: once it is committed.
        let sync = try members.optional("sync")?.integer(Int.self) ?? 0
        guard sync == 0 || sync == 1 else {
            return .failure(.init(.invalidParameters, "sync must be 0 (accepted) or 1 (committed)"))
        }
        return transaction.map { .broadcast($0, waitForCommit: sync == 1) }
    }

    private static func query(
        _ members: inout JSONMembers
    ) throws(JSONError) -> Result<RPCCall, JSONRPC.Failure> {
        let sql = try members.value("query").string()
        var parameters: [RawStatement.Parameter] = []
        if let values = members.optional("params") {
            for (name, value) in try values.object() {
                switch try ValueJSON.read(value) {
                case .success(let value): parameters.append(RawStatement.Parameter(name.string, value))
                case .failure(let failure): return .failure(failure)
                }
            }
        }
        return .success(.query(sql, parameters))
    }

    private static func account(
        _ members: inout JSONMembers
    ) throws(JSONError) -> Result<RPCCall, JSONRPC.Failure> {
        var inner = try members.value("id").members()
        let identifier = try inner.value("identifier").text()
        let type = try inner.value("key_type").string()
        guard let bytes = try? Hex.decode(utf8: identifier), let type = try? KeyType(name: type) else {
            return .failure(
                .init(.invalidParameters, "id must be a hexadecimal identifier and a key type"))
        }
        // 0: committed; 1: with the mempool's transactions.
        let status = try members.optional("status")?.integer(Int.self) ?? 0
        guard status == 0 || status == 1 else {
            return .failure(.init(.invalidParameters, "status must be 0 (latest) or 1 (pending)"))
        }
        return .success(
            .account(
                AccountID(identifier: bytes, keyType: type), identifier: identifier, isPending: status == 1))
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
        self.init(.invalidParameters, "\(method.name): \(path) \(error.message)")
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
            var list: [UInt8] = []
            // One byte too many is enough to refuse it.
            for element in try array().prefix(Hash.count + 1) { list.append(try element.integer(UInt8.self)) }
            bytes = list
        default: bytes = nil
        }
        guard let bytes, let hash = try? Hash(bytes) else {
            throw error("must be a hash of 64 hexadecimal digits")
        }
        return hash
    }
}
