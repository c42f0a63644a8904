import Chain
import Crypto
import Foundation
import Multiformats
import Node
import Storage

/// Turns the bytes of a JSON-RPC request, single or batch, into those of its response by asking the node.
///
/// Stateless; any thread.
public struct RPCDispatcher: Sendable {
    private let node: any NodeInterface
    private let wallClock: @Sendable () -> Int64

    /// Requests of one batch that run at the same time: enough to fill the node's signature checks.
    private static let concurrency = 64

    /// - Parameter wallClock: milliseconds since 1970, for the age of the latest block.
    public init(_ node: any NodeInterface, wallClock: @escaping @Sendable () -> Int64) {
        self.node = node
        self.wallClock = wallClock
    }

    /// `GET /api/v1/health`.
    func health() async -> RPCReply {
        let result = await healthResult()
        return RPCReply(
            status: result.healthy ? 200 : 503, body: Self.encode(result))
    }

    /// `POST /rpc/v1`.
    func respond(to body: [UInt8]) async -> RPCReply {
        let first = body.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        if first == UInt8(ascii: "[") {
            guard let requests = try? decoder.decode([RPCRequest].self, from: Data(body)) else {
                return Self.failed(.init(.parse, "not JSON"))
            }
            guard !requests.isEmpty, requests.count <= JSONRPC.maximumBatch else {
                let limit = JSONRPC.maximumBatch
                return Self.failed(.init(.invalidRequest, "a batch has 1 to \(limit) requests"))
            }
            let responses = await respond(to: requests)
            return responses.isEmpty
                ? RPCReply(status: 204, body: []) : RPCReply(body: Self.encode(responses))
        }
        guard let request = try? decoder.decode(RPCRequest.self, from: Data(body)) else {
            return Self.failed(.init(.parse, "not JSON"))
        }
        guard let response = await respond(to: request) else {
            return RPCReply(status: 204, body: [])
        }
        return RPCReply(body: Self.encode(response))
    }

    /// Runs up to `concurrency` requests at a time; answers stand in the order of the requests.
    private func respond(to requests: [RPCRequest]) async -> [JSONRPC.Response] {
        await withTaskGroup(of: (Int, JSONRPC.Response?).self) { group in
            var responses: [JSONRPC.Response?] = Array(repeating: nil, count: requests.count)
            var next = 0
            while next < min(Self.concurrency, requests.count) {
                let index = next
                group.addTask { (index, await respond(to: requests[index])) }
                next += 1
            }
            for await (index, response) in group {
                responses[index] = response
                if next < requests.count {
                    let index = next
                    group.addTask { (index, await respond(to: requests[index])) }
                    next += 1
                }
            }
            return responses.compactMap { $0 }
        }
    }

    private func respond(to request: RPCRequest) async -> JSONRPC.Response? {
        var result: Result<any Encodable & Sendable, JSONRPC.Failure>
        switch request.call {
        case .failure(let failure): result = .failure(failure)
        case .success(let call):
            do {
                result = .success(try await run(call))
            } catch {
                result = .failure(error)
            }
        }
        return request.id.map { JSONRPC.Response(id: $0, result: result) }
    }

    private func run(_ call: RPCRequest.Call) async throws(JSONRPC.Failure) -> any Encodable & Sendable {
        switch call {
        case .ping(let ping):
            return ping
        case .version(let service):
            return VersionResult(service: service)
        case .chainInfo:
            let status = await node.status()
            return ChainInfoResult(
                chainId: node.genesis.chainID, blockHeight: status.height,
                blockHash: HashJSON(status.blockHash),
                gas: await !node.network().parameters.disabledGasCosts)
        case .userHealth:
            return await healthResult()
        case .chainHealth:
            let status = await node.status()
            return ChainHealthResult(
                chainId: node.genesis.chainID, height: status.height, healthy: !status.isSyncing)
        case .broadcast(let parameters):
            return try await broadcast(parameters)
        case .transactionQuery(let parameters):
            let (known, transaction) = try await find(parameters.txHash.hash)
            return TransactionQueryResult(
                txHash: parameters.txHash, height: known.height, tx: transaction,
                txResult: known.result.map(TransactionResultJSON.init))
        case .transaction(let parameters):
            let (known, transaction) = try await find(parameters.hash.hash)
            return TransactionLookupResult(
                hash: parameters.hash, height: known.height, index: known.index, tx: transaction,
                txResult: known.result.map(TransactionResultJSON.init))
        case .query(let parameters):
            return try await query(parameters)
        case .account(let parameters):
            return try await account(parameters.id)
        case .block(let parameters):
            return try await block(parameters)
        case .blockHeader(let parameters):
            return BlockHeaderJSON(try decoded(try await find(parameters)).header)
        case .blockResult(let parameters):
            let stored = try await find(parameters)
            do {
                return BlockResultsResult(
                    height: stored.height, hash: HashJSON(stored.hash),
                    txResults: try stored.results().map(TransactionResultJSON.init))
            } catch {
                throw JSONRPC.Failure(.internal, "\(error)")
            }
        case .genesis:
            return GenesisResult(node.genesis)
        case .networkParameters:
            return NetworkParametersJSON(await node.network().parameters)
        case .validators:
            return ValidatorsResult(await node.network())
        case .unconfirmed(let parameters):
            return try await unconfirmed(parameters.limit ?? 0)
        case .validatorRequests:
            do {
                return ValidatorRequestsResult(try await node.validatorRequests(), await node.network())
            } catch {
                throw JSONRPC.Failure(.internal, error.description)
            }
        case .status:
            return StatusResult(await node.status(), chainID: node.genesis.chainID)
        }
    }

    // MARK: Methods

    private func healthResult() async -> HealthResult {
        let status = await node.status()
        let (age, _) = wallClock().subtractingReportingOverflow(Int64(clamping: status.blockTimestamp))
        return HealthResult(
            chainId: node.genesis.chainID, blockHeight: status.height, blockHash: HashJSON(status.blockHash),
            gas: await !node.network().parameters.disabledGasCosts, healthy: !status.isSyncing,
            version: NodeVersion.text,
            blockTime: status.blockTimestamp, blockAge: max(0, age), syncing: status.isSyncing,
            height: status.height, appHash: HashJSON(status.appHash), peerCount: status.peerCount,
            mode: "open")
    }

    private func broadcast(_ parameters: BroadcastParameters) async throws(JSONRPC.Failure) -> BroadcastResult
    {
        let transaction = try parameters.tx.transaction()
        guard [nil, 0, 1].contains(parameters.sync) else {
            throw JSONRPC.Failure(.invalidParameters, "sync is 0 (accepted) or 1 (committed)")
        }
        do {
            let outcome = try await node.broadcast(transaction.bytes, waitForCommit: parameters.sync == 1)
            return BroadcastResult(
                txHash: HashJSON(outcome.id), result: outcome.result.map(TransactionResultJSON.init))
        } catch .rejected(let code, let reason) {
            throw JSONRPC.Failure(
                .broadcastRejected, "broadcast error: \(reason)",
                data: .init(code: code.rawValue, hash: transaction.id.description, message: reason))
        } catch .blocksOnly {
            let reason = NodeError.blocksOnly.description
            throw JSONRPC.Failure(
                .broadcastRejected, "broadcast error: \(reason)",
                data: .init(
                    code: TransactionCode.unknownError.rawValue, hash: transaction.id.description,
                    message: reason))
        } catch .commitTimeout(let id) {
            let error = NodeError.commitTimeout(id)
            throw JSONRPC.Failure(
                .timeout, error.description,
                data: .init(
                    code: TransactionCode.timeout.rawValue, hash: id.description,
                    message: error.description))
        } catch {
            throw JSONRPC.Failure(.transactionInternal, error.description)
        }
    }

    private func find(_ id: Hash) async throws(JSONRPC.Failure) -> (KnownTransaction, TransactionJSON) {
        do {
            guard let known = try await node.transaction(id) else {
                throw JSONRPC.Failure(.transactionNotFound, "transaction \(id) is not known")
            }
            return (known, TransactionJSON(try Transaction(decoding: known.bytes)))
        } catch let failure as JSONRPC.Failure {
            throw failure
        } catch {
            throw JSONRPC.Failure(.internal, "\(error)")
        }
    }

    private func query(_ parameters: QueryParameters) async throws(JSONRPC.Failure) -> QueryResultJSON {
        var values: [String: Value] = [:]
        for (name, encoded) in parameters.params ?? [:] { values[name] = try encoded.value() }
        do {
            let result = try await node.query(parameters.query, values)
            return QueryResultJSON(
                columnNames: result.columnNames,
                columnTypes: result.columnTypes.map(EncodedValueJSON.DataTypeJSON.init),
                values: result.rows.map { $0.map(CellJSON.init) })
        } catch {
            throw JSONRPC.Failure(.engine, error.description)
        }
    }

    private func account(_ id: AccountIDJSON) async throws(JSONRPC.Failure) -> AccountResult {
        guard let identifier = try? Hex.decode(id.identifier), let type = try? KeyType(name: id.keyType)
        else {
            throw JSONRPC.Failure(.invalidParameters, "id is not a hexadecimal identifier and a key type")
        }
        do {
            let account = try await node.account(AccountID(identifier: identifier, keyType: type))
            return AccountResult(
                id: account == nil ? nil : id, balance: (account?.balance ?? .zero).description,
                nonce: account?.nonce ?? 0)
        } catch {
            throw JSONRPC.Failure(.internal, error.description)
        }
    }

    /// Limits as kwil-db's: 10 where none is given, 50 at most.
    private func unconfirmed(_ limit: Int) async throws(JSONRPC.Failure) -> UnconfirmedResult {
        guard limit >= 0 else { throw JSONRPC.Failure(.invalidParameters, "limit is negative") }
        let transactions = await node.unconfirmed(limit: limit == 0 ? 10 : min(limit, 50))
        return UnconfirmedResult(
            total: await node.status().mempoolCount,
            txs: transactions.map { .init(hash: HashJSON($0.id), tx: TransactionJSON($0)) })
    }

    private func find(_ parameters: BlockParameters) async throws(JSONRPC.Failure) -> StoredBlock {
        let stored: StoredBlock?
        do {
            if let hash = parameters.hash?.hash, hash != .zero {
                stored = try await node.block(hash: hash)
            } else {
                stored = try await node.block(at: parameters.height ?? 0)
            }
        } catch {
            throw JSONRPC.Failure(.internal, error.description)
        }
        guard let stored else { throw JSONRPC.Failure(.blockNotFound, "block is not known") }
        return stored
    }

    private func decoded(_ stored: StoredBlock) throws(JSONRPC.Failure) -> Block {
        do { return try Block(decoding: stored.block) } catch { throw .init(.internal, "\(error)") }
    }

    private func block(_ parameters: BlockParameters) async throws(JSONRPC.Failure) -> BlockResult {
        let stored = try await find(parameters)
        do {
            return BlockResult(
                hash: HashJSON(stored.hash),
                block: parameters.raw == true ? nil : try BlockJSON(try Block(decoding: stored.block)),
                rawBlock: parameters.raw == true ? Data(stored.block.array) : nil,
                commitInfo: CommitInfoJSON(try CommitInfo(decoding: stored.commitInfo)))
        } catch {
            throw JSONRPC.Failure(.internal, "\(error)")
        }
    }

    // MARK: Encoding

    private static func failed(_ failure: JSONRPC.Failure) -> RPCReply {
        RPCReply(body: encode(JSONRPC.Response(id: .null, result: .failure(failure))))
    }

    private static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = .withoutEscapingSlashes
        // Every response type encodes: no floating point, no cycles.
        return (try? encoder.encode(value)).map { Array($0) } ?? []
    }
}
