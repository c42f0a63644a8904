import Bytes
import Chain
import Crypto
import Execution
import JSON
import Node
import Storage

extension RPCDispatcher {
    /// Writes a call's result, after the node has answered.
    func respond(to call: RPCCall, _ writer: inout JSONWriter) async throws(JSONRPC.Failure) {
        switch call {
        case .ping(let message):
            writer.object { $0.member("message", text: message) }
        case .version(let service):
            writer.version(service)
        case .status(let question):
            write(await node.status(), for: question, to: &writer)
        case .broadcast(let transaction, let waitForCommit):
            try await broadcast(transaction, waitForCommit, &writer)
        case .transactionQuery(let id):
            let (known, transaction) = try await find(id)
            writer.transaction(transaction, "tx_hash", known)
        case .transaction(let id):
            let (known, transaction) = try await find(id)
            writer.transaction(transaction, "hash", known, index: known.index)
        case .query(let sql, let parameters):
            try await query(sql, parameters, &writer)
        case .account(let id, let identifier, let isPending):
            try await account(id, identifier, isPending, &writer)
        case .block(let name, let isRaw):
            try await block(name, isRaw, &writer)
        case .blockHeader(let name):
            let stored = try await find(name)
            writer.header(try decoded { () throws(ChainError) in try Block(decoding: stored.block) }.header)
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
            do {
                ValidatorRequestsResult(try await node.validatorRequests(), await node.network())
                    .write(to: &writer)
            } catch {
                throw .init(.internal, error.description)
            }
        }
    }

    /// Writes the answer to a question about the node's state.
    func write(_ status: NodeStatus, for question: RPCCall.StatusQuestion, to writer: inout JSONWriter) {
        let chainID = node.genesis.chainID
        switch question {
        case .chainInfo: writer.chainInfo(status, chainID: chainID)
        case .userHealth: writer.health(status, chainID: chainID, now: wallClock())
        case .chainHealth: writer.chainHealth(status, chainID: chainID)
        case .all: StatusResult(status, chainID: chainID).write(to: &writer)
        }
    }

    private func broadcast(
        _ transaction: Transaction, _ waitForCommit: Bool, _ writer: inout JSONWriter
    ) async throws(JSONRPC.Failure) {
        let outcome: Result<BroadcastOutcome, NodeError>
        do {
            outcome = .success(try await node.broadcast(transaction.bytes, waitForCommit: waitForCommit))
        } catch {
            outcome = .failure(error)
        }
        try write(outcome, of: transaction, to: &writer)
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
        _ sql: String, _ parameters: [RawStatement.Parameter], _ writer: inout JSONWriter
    ) async throws(JSONRPC.Failure) {
        let result: QueryResult
        do {
            result = try await node.query(sql, parameters)
        } catch .busy {
            throw .busy
        } catch {
            throw .init(.engine, error.description)
        }
        let limit = budget.queryShare
        writer.beginObject()
        writer.array("column_names") { list in
            for name in result.columnNames { list.text(name) }
        }
        writer.array("column_types") { list in
            for type in result.columnTypes { list.dataType(type) }
        }
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
        if !others.isEmpty {
            writer.array("cell_types") { list in
                for cell in others { list.cellType(cell) }
            }
        }
        guard writer.bytes.count <= limit else { throw .tooLarge(limit) }
        writer.endObject()
    }

    private func account(
        _ id: AccountID, _ identifier: JSONText, _ isPending: Bool, _ writer: inout JSONWriter
    ) async throws(JSONRPC.Failure) {
        let account: Account?
        // The mempool first: a transaction committed in between then shows in the account.
        let pending = isPending ? await node.pendingNonce(id) : nil
        do {
            account = try await node.account(id)
        } catch {
            throw .init(.internal, error.description)
        }
        writer.object {
            if account != nil {
                $0.object("id") {
                    // As the client wrote it.
                    $0.member("identifier", text: identifier)
                    $0.member("key_type", text: id.keyType.name)
                }
            }
            $0.member("balance", text: (account?.balance ?? .zero).description)
            $0.member("nonce", integer: max(account?.nonce ?? 0, pending ?? 0))
        }
    }

    // MARK: Blocks and transactions

    private func find(_ id: Hash) async throws(JSONRPC.Failure) -> (KnownTransaction, Transaction) {
        let known: KnownTransaction?
        do {
            known = try await node.transaction(id)
        } catch {
            throw .init(.internal, error.description)
        }
        guard let known else { throw .init(.transactionNotFound, "transaction \(id) not found") }
        return (known, try decoded { () throws(ChainError) in try Transaction(decoding: known.bytes) })
    }

    private func find(_ name: RPCCall.BlockName) async throws(JSONRPC.Failure) -> StoredBlock {
        let stored: StoredBlock?
        do {
            switch name {
            case .hash(let hash): stored = try await node.block(hash: hash)
            case .height(let height): stored = try await node.block(at: height)
            }
        } catch {
            throw .init(.internal, error.description)
        }
        guard let stored else { throw .init(.blockNotFound, "\(name) not found") }
        return stored
    }

    private func block(
        _ name: RPCCall.BlockName, _ isRaw: Bool, _ writer: inout JSONWriter
    ) async throws(JSONRPC.Failure) {
        let stored = try await find(name)
        let limit = budget.limits.server
        guard stored.block.count <= limit / 2 else { throw .tooLarge(limit) }
        let info = try decoded { () throws(ChainError) in try CommitInfo(decoding: stored.commitInfo) }
        writer.reserve(stored.block.count * 4 / 3 + info.votes.count * 320 + 1024)
        writer.beginObject()
        writer.member("hash", hex: stored.hash)
        if isRaw {
            writer.member("raw_block", base64: stored.block)
        } else {
            let block = try decoded { () throws(ChainError) in try Block(decoding: stored.block) }
            writer.name("block")
            try writer.block(block, limit: limit)
        }
        writer.name("commit_info")
        writer.commitInfo(info)
        writer.endObject()
    }

    private func blockResult(
        _ name: RPCCall.BlockName, _ writer: inout JSONWriter
    ) async throws(JSONRPC.Failure) {
        let stored = try await find(name)
        let results: [TransactionResult]
        do {
            results = try stored.results()
        } catch {
            throw .init(.internal, "\(error)")
        }
        writer.object {
            $0.member("height", integer: stored.height)
            $0.member("hash", hex: stored.hash)
            $0.array("tx_results") { list in
                for result in results { list.result(result) }
            }
        }
    }

    /// Decodes what the node has stored; an error is the node's fault.
    private func decoded<T>(_ decode: () throws(ChainError) -> T) throws(JSONRPC.Failure) -> T {
        do throws(ChainError) {
            return try decode()
        } catch {
            throw .init(.internal, "\(error)")
        }
    }
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
