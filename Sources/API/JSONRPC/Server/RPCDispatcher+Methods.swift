import Bytes
import Chain
import Crypto
import Execution
import JSON
import Node
import Reactor
import Storage
import Synchronization

extension RPCDispatcher {
    /// Writes a call's result, after the node has answered. `length` is that of a query.
    func respond(
        to call: RPCCall, _ length: QueryLength, _ writer: inout JSONWriter
    ) async throws(JSONRPC.Failure) {
        switch call {
        case .ping(let message):
            writer.object { $0.member("message", text: message.string) }
        case .version(let service):
            writer.version(service)
        case .status(let question):
            write(await node.status(), for: question, to: &writer)
        case .estimatePrice:
            // Any fee suffices, even none: the ledger takes what a transaction offers (`Ledger.admit`).
            writer.object { $0.member("price", text: "0") }
        case .broadcast(let transaction, let waitForCommit):
            let outcomes = await node.broadcast([transaction.bytes], waitForCommit: waitForCommit)
            try write(outcomes[0], of: transaction, to: &writer)
        case .transactionQuery(let id):
            let (known, transaction) = try await find(id)
            writer.transaction(transaction, "tx_hash", known)
        case .transaction(let id):
            let (known, transaction) = try await find(id)
            writer.transaction(transaction, "hash", known, index: known.index)
        case .query(let sql, let parameters):
            try await query(sql, parameters, length, &writer)
        case .account(let id, let identifier, let isPending):
            try await account(id, identifier, isPending, &writer)
        case .block(let name, let isRaw):
            try await block(name, isRaw, &writer)
        case .blockHeader(let name):
            let stored = try await find(name)
            writer.header(try await fromNode { try Block(decoding: stored.block) }.header)
        case .blockResult(let name):
            try await blockResult(name, &writer)
        case .genesis:
            writer.genesis(node.genesis)
        case .networkParameters:
            writer.parameters(await node.network().parameters)
        case .validators:
            writer.validators(await node.network())
        case .unconfirmed(let limit):
            // kwil-db's limits: 10 by default, 50 at most.
            let transactions = await node.unconfirmed(limit: limit == 0 ? 10 : Int(min(limit, 50)))
            writer.unconfirmed(total: await node.status().mempoolCount, transactions)
        case .validatorRequests:
            let requests = try await fromNode { try await node.validatorRequests() }
            ValidatorRequestsResult(requests, await node.network()).write(to: &writer)
        case .clock:
            writer.clock(node.clockReading)
        case .blockTrace(let height):
            writer.blockTraces(
                await node.blockTraces(at: height), of: await name(), at: node.clockReading)
        case .slowestBlocks(let count):
            writer.blockTraces(
                await node.slowestBlocks(count), of: await name(), at: node.clockReading)
        case .transactionTrace(let id):
            let (trace, sampling) = await node.transactionTrace(id)
            writer.transactionTrace(trace, sampling: sampling, of: await name(), at: node.clockReading)
        case .stageHistograms:
            writer.stageHistograms(node.stageHistograms, of: await name(), at: node.clockReading)
        }
    }

    /// The node's peer ID.
    private func name() async -> String { await node.status().peerID }

    /// Writes the answer to a question about the node's state.
    func write(_ status: NodeStatus, for question: RPCCall.StatusQuestion, to writer: inout JSONWriter) {
        switch question {
        case .chainInfo: writer.chainInfo(status)
        case .userHealth: writer.health(status, now: wallClock())
        case .chainHealth: writer.chainHealth(status)
        case .all: writer.status(status)
        }
    }

    /// Writes the outcome of a broadcast.
    func write(
        _ outcome: Result<BroadcastOutcome, NodeError>, of transaction: Transaction,
        to writer: inout JSONWriter
    ) throws(JSONRPC.Failure) {
        let done: BroadcastOutcome
        do {
            done = try outcome.get()
        } catch .rejected(let code, let reason) {
            throw .refused(transaction.id, code, reason)
        } catch .blocksOnly {
            throw .refused(transaction.id, .unknownError, NodeError.blocksOnly.description)
        } catch .commitTimeout(let id) {
            let reason = NodeError.commitTimeout(id).description
            throw .init(
                .timeout, reason,
                data: .init(code: TransactionCode.timeout.rawValue, hash: id.description, message: reason))
        } catch {
            throw .init(.transactionInternal, error.description)
        }
        writer.object {
            $0.member("tx_hash", hex: done.id)
            guard let result = done.result else { return }
            $0.name("result")
            $0.result(result)
        }
    }

    /// Answers `user.query`. A column of SQLite holds values of any type, a column of Kwil's only one. If a cell's type
    /// differs from its column's and its JSON does not show that, `cell_types`, which Kwil's clients ignore, names it.
    private func query(
        _ sql: String, _ parameters: [RawStatement.Parameter], _ length: QueryLength,
        _ writer: inout JSONWriter
    ) async throws(JSONRPC.Failure) {
        let result: QueryResult
        do {
            result = try await node.query(sql, parameters, length)
        } catch .notShort {
            throw .notShort
        } catch .busy {
            throw .busy
        } catch {
            throw .init(.engine, error.description)
        }
        let limit = budget.queryShare
        guard result.rows.count > Self.cellsOnLoop / max(result.columnNames.count, 1) else {
            return try Self.write(result, limit, &writer)
        }
        let parcel = Parcel(consume result)
        try await write(on: answers, &writer) { (writer) throws(JSONRPC.Failure) in
            guard let result = parcel.open() else { return }
            try Self.write(result, limit, &writer)
        }
    }

    /// The most cells of a result, and bytes of a block, that the server's thread writes, within a tenth of a millisecond or
    /// two; a worker writes larger ones.
    private static let cellsOnLoop = 1_000
    private static let blockOnLoop = 64 << 10

    /// Writes a result on a worker, so that other clients need not wait for it.
    private func write(
        on worker: Worker, _ writer: inout JSONWriter,
        _ body: @escaping @Sendable (inout JSONWriter) throws(JSONRPC.Failure) -> Void
    ) async throws(JSONRPC.Failure) {
        let before = writer
        let written = try await fromNode {
            try await worker.run { () -> Result<JSONWriter, JSONRPC.Failure> in
                var writer = before
                do throws(JSONRPC.Failure) {
                    try body(&writer)
                    return .success(writer)
                } catch {
                    return .failure(error)
                }
            }
        }
        writer = try written.get()
    }

    private nonisolated static func write(
        _ result: QueryResult, _ limit: Int, _ writer: inout JSONWriter
    ) throws(JSONRPC.Failure) {
        writer.beginObject()
        writer.array("column_names", of: result.columnNames) { $0.text($1) }
        writer.array("column_types", of: result.columnTypes) { $0.dataType($1) }
        writer.name("values")
        writer.beginArray()
        var others: [(row: Int, column: Int, type: DataType.Name)] = []
        for (index, row) in result.rows.enumerated() {
            writer.array { list in
                for cell in row { list.cell(cell) }
            }
            for (column, cell) in row.enumerated()
            where cell.isTextInJSON && cell.type.name != result.columnTypes[column].name {
                others.append((index, column, cell.type.name))
            }
            guard writer.bytes.count <= limit else { throw .tooLarge(limit) }
        }
        writer.endArray()
        if !others.isEmpty { writer.array("cell_types", of: others) { $0.cellType($1) } }
        guard writer.bytes.count <= limit else { throw .tooLarge(limit) }
        writer.endObject()
    }

    private func account(
        _ id: AccountID, _ identifier: JSONText, _ isPending: Bool, _ writer: inout JSONWriter
    ) async throws(JSONRPC.Failure) {
        // The mempool first: a transaction committed in between then shows in the account.
        let pending = isPending ? await node.pendingNonce(id) : nil
        let account = try await fromNode { try await node.account(id) }
        writer.object {
            if account != nil {
                $0.object("id") {
                    // As the client wrote it.
                    $0.member("identifier", text: identifier.string)
                    $0.member("key_type", text: id.keyType.name)
                }
            }
            $0.member("balance", text: (account?.balance ?? .zero).description)
            $0.member("nonce", integer: max(account?.nonce ?? 0, pending ?? 0))
        }
    }

    // MARK: Blocks and transactions

    private func find(_ id: Hash) async throws(JSONRPC.Failure) -> (KnownTransaction, Transaction) {
        guard let known = try await fromNode({ try await node.transaction(id) }, pruned: .transactionNotFound)
        else {
            throw .init(.transactionNotFound, "transaction \(id) not found")
        }
        return (known, try await fromNode { try Transaction(decoding: known.bytes) })
    }

    private func find(_ name: RPCCall.BlockName) async throws(JSONRPC.Failure) -> StoredBlock {
        let stored = try await fromNode(
            {
                switch name {
                case .hash(let hash): try await node.block(hash: hash)
                case .height(let height): try await node.block(at: height)
                }
            }, pruned: .blockNotFound)
        guard let stored else { throw .init(.blockNotFound, "\(name) not found") }
        return stored
    }

    private func block(
        _ name: RPCCall.BlockName, _ isRaw: Bool, _ writer: inout JSONWriter
    ) async throws(JSONRPC.Failure) {
        let stored = try await find(name)
        let limit = budget.limits.server
        guard stored.block.count <= limit / 2 else { throw .tooLarge(limit) }
        guard stored.block.count > Self.blockOnLoop else {
            return try Self.write(stored, isRaw, limit, &writer)
        }
        try await write(on: blockAnswers, &writer) { (writer) throws(JSONRPC.Failure) in
            try Self.write(stored, isRaw, limit, &writer)
        }
    }

    private nonisolated static func write(
        _ stored: StoredBlock, _ isRaw: Bool, _ limit: Int, _ writer: inout JSONWriter
    ) throws(JSONRPC.Failure) {
        let info: CommitInfo
        let block: Block?
        do {
            info = try CommitInfo(decoding: stored.commitInfo)
            block = try isRaw ? nil : Block(decoding: stored.block)
        } catch {
            throw .init(.internal, "\(error)")
        }
        writer.reserve(stored.block.count * 4 / 3 + info.votes.count * 320 + 1024)
        writer.beginObject()
        writer.member("hash", hex: stored.hash)
        if let block {
            writer.name("block")
            try writer.block(block, limit: limit)
        } else {
            writer.member("raw_block", base64: stored.block)
        }
        writer.name("commit_info")
        writer.commitInfo(info)
        writer.endObject()
    }

    private func blockResult(
        _ name: RPCCall.BlockName, _ writer: inout JSONWriter
    ) async throws(JSONRPC.Failure) {
        let stored = try await find(name)
        let results = try await fromNode { try stored.results() }
        writer.object {
            $0.member("height", integer: stored.height)
            $0.member("hash", hex: stored.hash)
            $0.array("tx_results", of: results) { $0.result($1) }
        }
    }

    /// Reads or decodes what the node has; an error is the node's fault.
    /// Returns what `body` gets from the node. What the node has dropped is an error with the code `pruned`.
    private func fromNode<T>(
        _ body: () async throws -> T, pruned: JSONRPC.Code = .internal
    ) async throws(JSONRPC.Failure) -> T {
        do {
            return try await body()
        } catch NodeError.pruned(let reason) {
            throw .init(pruned, reason)
        } catch {
            throw .init(.internal, "\(error)")
        }
    }
}

/// A result that the server's thread hands to a worker, which then also frees it: a million values take a fifth of a second.
private final class Parcel: Sendable {
    private let content: Mutex<QueryResult?>

    init(_ content: consuming QueryResult) { self.content = Mutex(content) }

    /// Takes the result out.
    func open() -> QueryResult? { content.withLock { $0.take() } }
}

extension JSONRPC.Failure {
    /// The error for a transaction that the node refuses.
    fileprivate static func refused(_ id: Hash, _ code: TransactionCode, _ reason: String) -> JSONRPC.Failure
    {
        .init(
            .broadcastRejected, "broadcast error: \(reason)",
            data: .init(code: code.rawValue, hash: id.description, message: reason))
    }
}
