import API
import Chain
import Crypto
import Reactor

/// One connection of a load, with its own senders and its share of the transactions: each of which it sends when it is due,
/// or late if it still waits for the node's answer to earlier ones.
struct LoadLane: Sendable {
    private struct Account: Sendable {
        let sender: LoadSender
        /// Nil if the node must be asked.
        var nonces: LoadNonces?
    }

    private struct Sent: Sendable {
        let transaction: Transaction
        let account: Int
        let nonce: UInt64
        let due: Duration
    }

    private let load: LoadRun
    private let stride: Int
    private let client: RPCClient
    private let text: LoadText
    private var accounts: [Account]
    /// The next transaction to send.
    private var next: Int
    private var turn = 0

    /// Asks the node for the senders' nonces.
    init(_ load: LoadRun, _ number: Int, of count: Int, _ senders: [LoadSender]) async throws {
        self.load = load
        next = number
        stride = count
        client = try RPCClient(load.target.address, timeout: LoadRun.requestTime)
        text = LoadText(length: try load.target.textSize)
        accounts = senders.map { Account(sender: $0) }
        for index in accounts.indices { try await learnNonces(index) }
    }

    /// Sends all transactions of this lane.
    mutating func run(since start: ContinuousClock.Instant) async throws {
        while next < load.total {
            let due = load.due(next)
            let now = ContinuousClock.now - start
            guard due <= now else {
                try await Reactor.sleep(for: due - now)
                continue
            }
            skip(until: now - load.patience)
            let batch = try sign(until: now)
            if !batch.isEmpty { await send(batch, since: start) }
        }
        await client.close()
    }

    /// Gives up the transactions that are overdue by more than the patience.
    private mutating func skip(until time: Duration) {
        var count = 0
        while next < load.total, load.due(next) < time {
            next += stride
            count += 1
        }
        load.ledger.failed(count, "not sent in time")
    }

    /// Signs as many of the transactions that are due as a request may have.
    private mutating func sign(until now: Duration) throws -> [Sent] {
        var batch: [Sent] = []
        let most = max(1, min(Submission.batch, Submission.batchBytes / load.target.size))
        while next < load.total, batch.count < most, load.due(next) <= now {
            turn = (turn + 1) % accounts.count
            guard let nonce = accounts[turn].nonces?.take() else {
                // The node did not tell the nonce.
                load.ledger.failed(1, "no answer from the node")
                next += stride
                continue
            }
            let transaction = try load.target.transaction(
                of: accounts[turn].sender, nonce: nonce, text: text.part(next))
            batch.append(Sent(transaction: transaction, account: turn, nonce: nonce, due: load.due(next)))
            next += stride
        }
        return batch
    }

    private mutating func send(_ batch: [Sent], since start: ContinuousClock.Instant) async {
        load.ledger.sending(
            batch.map { ($0.transaction.id, $0.due) }, at: ContinuousClock.now - start)
        do throws(RPCClient.Failure) {
            let refused = try await client.broadcast(batch.map(\.transaction))
            for (index, failure) in refused { refuse(batch[index], failure) }
        } catch {
            load.ledger.doubt(batch.map(\.transaction.id), "no answer from the node")
            for sent in batch { accounts[sent.account].nonces = nil }
        }
        for index in accounts.indices where accounts[index].nonces == nil { try? await learnNonces(index) }
    }

    private mutating func refuse(_ sent: Sent, _ failure: JSONRPC.Failure) {
        let code = failure.data.flatMap { TransactionCode(rawValue: $0.code) }
        load.ledger.refused(
            sent.transaction.id, "refused: \(code?.description ?? "JSON-RPC error \(failure.code)")")
        if code == .invalidNonce {
            accounts[sent.account].nonces = nil
        } else {
            accounts[sent.account].nonces?.giveBack([sent.nonce])
        }
    }

    private mutating func learnNonces(_ index: Int) async throws {
        let account = AccountID(accounts[index].sender.key.publicKey)
        accounts[index].nonces = LoadNonces(after: try await client.account(account, isPending: true).nonce)
    }
}

/// Texts of one length that differ from each other, so that compression gains as little as with other texts.
struct LoadText: Sendable {
    private let letters: [UInt8]
    private let length: Int

    init(length: Int) {
        self.length = length
        letters = (0..<2 * length).map { _ in UInt8.random(in: UInt8(ascii: "a")...UInt8(ascii: "z")) }
    }

    func part(_ number: Int) -> String {
        guard length > 0 else { return "" }
        let start = number % length
        return String(decoding: letters[start..<start + length], as: UTF8.self)
    }
}
