import Bytes
import Chain
import Crypto
import Execution
import JSON
import Node
import Storage

extension RPCDispatcher {
    /// Writes a call's result. Nothing is written before the node has answered.
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
            // Limits as kwil-db's: 10 where none is given, 50 at most.
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

    /// What a question about where the node stands is answered with.
    func write(_ status: NodeStatus, for question: RPCCall.StatusQuestion, to writer: inout JSONWriter) {
        let chainID = node.genesis.chainID
        switch question {
        case .chainInfo: writer.chainInfo(status, chainID: chainID)
        case .userHealth: writeHealth(status, to: &writer)
        case .chainHealth: writer.chainHealth(status, chainID: chainID)
        case .all: StatusResult(status, chainID: chainID).write(to: &writer)
        }
    }

    /// `user.health`, also at `GET /api/v1/health`.
    func writeHealth(_ status: NodeStatus, to writer: inout JSONWriter) {
        let (age, _) = wallClock().subtractingReportingOverflow(Int64(clamping: status.blockTimestamp))
        writer.object {
            $0.tip(status, chainID: node.genesis.chainID)
            $0.member("healthy", flag: status.isHealthy)
            // Why not.
            if let trouble = status.trouble { $0.member("reason", text: trouble) }
            $0.member("version", text: NodeVersion.text)
            // Milliseconds, since 1970 and since then.
            $0.member("block_time", integer: status.blockTimestamp)
            if status.blockTimestamp > 0 { $0.member("block_age", integer: max(0, age)) }
            $0.member("syncing", flag: status.isSyncing)
            if let doubt = status.clockDoubt { $0.member("clock", text: doubt) }
            $0.member("height", integer: status.height)
            $0.member("app_hash", hex: status.appHash)
            $0.member("peer_count", integer: status.peerCount)
            $0.member("mode", text: "open" as StaticString)
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

    /// What became of a broadcast transaction.
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

    /// `user.query`. SQLite's columns hold values of any type, Kwil's of one: where a cell's type is not its column's and
    /// its JSON does not show that, `cell_types` names it, which Kwil's clients pass over.
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
        // First what waits: what is mined meanwhile is then in the account.
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
        guard let known else { throw .init(.transactionNotFound, "transaction \(id) is not known") }
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
        guard let stored else { throw .init(.blockNotFound, "block is not known") }
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

    /// What the node has stored must be what it says.
    private func decoded<T>(_ decode: () throws(ChainError) -> T) throws(JSONRPC.Failure) -> T {
        do throws(ChainError) {
            return try decode()
        } catch {
            throw .init(.internal, "\(error)")
        }
    }
}

extension JSONRPC.Failure {
    /// A transaction that the node does not take.
    fileprivate static func refused(_ id: Hash, _ code: TransactionCode, _ reason: String) -> JSONRPC.Failure
    {
        .init(
            .broadcastRejected, "broadcast error: \(reason)",
            data: .init(code: code.rawValue, hash: id.description, message: reason))
    }
}

extension JSONWriter {
    /// `user.version` and `chain.version`.
    mutating func version(_ service: StaticString) {
        object {
            $0.member("service", text: service)
            $0.member("api_ver", text: NodeVersion.text)
            $0.member("major", integer: NodeVersion.major)
            $0.member("minor", integer: NodeVersion.minor)
            $0.member("patch", integer: NodeVersion.patch)
            $0.member("kwil_ver", text: NodeVersion.agent)
        }
    }

    /// `user.chain_info`.
    fileprivate mutating func chainInfo(_ status: NodeStatus, chainID: String) {
        object { $0.tip(status, chainID: chainID) }
    }

    fileprivate mutating func tip(_ status: NodeStatus, chainID: String) {
        member("chain_id", text: chainID)
        member("block_height", integer: status.height)
        member("block_hash", hex: status.blockHash)
        // Whether transactions cost gas.
        member("gas", flag: status.hasGasCosts)
    }

    /// `chain.health`.
    fileprivate mutating func chainHealth(_ status: NodeStatus, chainID: String) {
        object {
            $0.member("chain_id", text: chainID)
            $0.member("height", integer: status.height)
            $0.member("healthy", flag: status.isHealthy)
            if let trouble = status.trouble { $0.member("reason", text: trouble) }
        }
    }

    /// `user.tx_query` and, with its index, `chain.tx`.
    fileprivate mutating func transaction(
        _ transaction: Transaction, _ hashName: StaticString, _ known: KnownTransaction, index: UInt32? = nil
    ) {
        object {
            $0.member(hashName, hex: transaction.id)
            // -1 while unconfirmed.
            $0.member("height", integer: known.height)
            if let index { $0.member("index", integer: index) }
            $0.name("tx")
            $0.transaction(transaction)
            guard let result = known.result else { return }
            $0.name("tx_result")
            $0.result(result)
        }
    }
}
