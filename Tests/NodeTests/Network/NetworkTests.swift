import Bytes
import Chain
import Crypto
import Execution
import Testing

@testable import Node

@Suite(.serialized) struct NetworkTests {
    @Test func statementsFromTheSentryReachEveryDatabase() async throws {
        try await LocalNetwork.run { network in
            try await network.startAll()
            try await network.connected()
            let created = try await network.commit(LocalNetwork.createTable, at: "sentry-1")
            #expect(created?.code == 0)
            try await network.insert(0..<100, at: "sentry-1")
            try await network.agree(rows: 100)
            for name in network.names {
                let status = await (try network.node(name)).status()
                #expect(status.transactionCount == 101)
                #expect(status.mempoolCount == 0)
                #expect(status.mempoolSize == 0)
                #expect(!status.isSyncing)
                let role = name == "leader" ? "leader" : name.hasPrefix("sentry") ? "sentry" : "validator"
                #expect(status.role.rawValue == role)
            }
        }
    }

    @Test func everyNodeAnswersForBlocksAndTransactions() async throws {
        try await LocalNetwork.run(validators: 1) { network in
            try await network.startAll()
            try await network.connected()
            let transaction = try network.transaction(LocalNetwork.createTable)
            let outcome = try await network.node("sentry-1").broadcast(
                transaction.bytes, waitForCommit: true)
            #expect(outcome.id == transaction.id)
            try await network.agree(rows: 0)
            for name in network.names {
                let node = try network.node(name)
                let height = await node.status().height
                let latest = try await node.block(at: 0)
                #expect(latest?.height == height)
                let hash = try #require(latest?.hash)
                #expect(try await node.block(hash: hash)?.height == height)
                #expect(try await node.block(at: height + 1) == nil)
                #expect(try await node.block(at: .max) == nil)
                let known = try await node.transaction(transaction.id)
                #expect(known?.height == height)
                #expect(known?.index == 0)
                #expect(known?.result?.code == 0)
                #expect(known?.bytes == transaction.bytes)
                #expect(try await node.transaction(.zero) == nil)
                #expect(try await node.account(AccountID(network.owner.publicKey))?.nonce == 1)
                await #expect(throws: NodeError.self) {
                    try await node.query("DELETE FROM t", [], .long)
                }
            }
        }
    }

    @Test func aFailingStatementConsumesItsNonce() async throws {
        try await LocalNetwork.run { network in
            try await network.startAll(withTableAt: "sentry-1")
            let failed = try await network.commit("INSERT INTO nowhere VALUES (1)", at: "sentry-1")
            #expect(failed?.isOK == false)
            #expect(failed?.log.isEmpty == false)
            for name in network.names {
                try await LocalNetwork.wait {
                    let account = try await network.node(name).account(AccountID(network.owner.publicKey))
                    return account?.nonce == 2 ? nil : "\(name): nonce \(account?.nonce ?? 0)"
                }
            }
            try await network.insert(0..<3, at: "validator-2")
            try await network.agree(rows: 3)
        }
    }

    @Test func aStrangersStatementFailsAndChangesNothing() async throws {
        try await LocalNetwork.run { network in
            try await network.startAll(withTableAt: "sentry-1")
            let stranger = try PrivateKey.generate(.secp256k1)
            let statement = try network.transaction("INSERT INTO t VALUES (1, 'x')", nonce: 1, by: stranger)
            let outcome = try await network.node("sentry-1").broadcast(statement.bytes, waitForCommit: true)
            #expect(outcome.result?.isOK == false)
            try await network.agree(rows: 0)
        }
    }

    // MARK: Refusals

    private func code(_ node: Node, _ bytes: SharedBytes) async -> TransactionCode? {
        do {
            _ = try await node.broadcast(bytes, waitForCommit: false)
            return .ok
        } catch .rejected(let code, let reason) {
            #expect(!reason.isEmpty && !reason.contains("\n"))
            return code
        } catch {
            return nil
        }
    }

    @Test func badTransactionsAreRefusedWithTheirCodes() async throws {
        try await LocalNetwork.run(validators: 1, sentries: 1) { network in
            try await network.startAll()
            try await network.connected()
            let node = try network.node("sentry-1")
            let first = try network.transaction(LocalNetwork.createTable)
            _ = try await node.broadcast(first.bytes, waitForCommit: true)

            #expect(await code(node, first.bytes) == .unknownError, "committed already")
            let again = try network.transaction("SELECT 1", nonce: 1)
            #expect(await code(node, again.bytes) == .invalidNonce, "nonce used")
            let zero = try network.transaction("SELECT 1", nonce: 0)
            #expect(await code(node, zero.bytes) == .invalidNonce, "nonce zero")
            let far = try network.transaction("SELECT 1", nonce: .max)
            #expect(await code(node, far.bytes) == .invalidNonce, "nonce too far ahead")
            let foreign = try network.transaction("SELECT 1", nonce: 2, chainID: "other")
            #expect(await code(node, foreign.bytes) == .wrongChain)
            #expect(await code(node, SharedBytes()) == .encodingError)
            #expect(await code(node, SharedBytes([1, 2, 3])) == .encodingError)

            var bytes = try network.transaction("SELECT 1", nonce: 2).bytes.array
            bytes.append(0)
            #expect(await code(node, SharedBytes(bytes)) == .encodingError, "a byte too many")
            let good = try network.transaction(
                "INSERT INTO t VALUES ($id, 'row 0')", [.init("$id", .int8(0))], nonce: 2)
            var forged = good.bytes.array
            let signature = good.signature.array
            let place = try #require(
                (0...(forged.count - signature.count)).first {
                    Array(forged[$0..<($0 + signature.count)]) == signature
                })
            forged[place + 5] ^= 1
            #expect(await code(node, SharedBytes(forged)) == .invalidSignature)
            // Refusing the forgery must not keep out the original.
            #expect(await code(node, good.bytes) == .ok)
            try await network.agree(rows: 1)
        }
    }

    @Test func whatWaitsIsNotTakenTwice() async throws {
        // A leader commits nothing while its only other validator is missing, so all transactions keep waiting.
        try await LocalNetwork.run(validators: 3, sentries: 0) { network in
            let node = try await network.start("leader")
            let waiting = try network.transaction(LocalNetwork.createTable)
            #expect(await code(node, waiting.bytes) == .ok)
            #expect(await code(node, waiting.bytes) == .unknownError)
            let rival = try network.transaction("SELECT 1", nonce: 1)
            #expect(await code(node, rival.bytes) == .invalidNonce)
            let known = try await node.transaction(waiting.id)
            #expect(known?.height == -1)
            #expect(known?.result == nil)
            #expect(await node.status().mempoolCount == 1)
            #expect(await node.status().height == 0)
            // The others start, and the waiting transactions are committed.
            for name in network.names.dropFirst() { try await network.start(name) }
            try await network.agree(rows: 0)
        }
    }

    @Test func stoppingEndsWhoeverWaits() async throws {
        try await LocalNetwork.run(validators: 3, sentries: 0) { network in
            let node = try await network.start("leader")
            let transaction = try network.transaction(LocalNetwork.createTable)
            async let outcome = Result<BroadcastOutcome, NodeError>.of {
                () async throws(NodeError) in
                try await node.broadcast(transaction.bytes, waitForCommit: true)
            }
            async let failure = node.failure()
            try await LocalNetwork.wait {
                await node.status().mempoolCount == 1 ? nil : "not in the mempool"
            }
            await network.stop("leader")
            let (ended, reason) = (await outcome, await failure)
            #expect(throws: NodeError.self) { try ended.get() }
            #expect(reason == nil)
            await #expect(throws: NodeError.self) {
                try await node.broadcast(transaction.bytes, waitForCommit: false)
            }
        }
    }
}

extension Result where Success: Sendable, Failure == NodeError {
    fileprivate static func of(_ body: () async throws(NodeError) -> Success) async -> Self {
        do {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}
