import Chain
import Crypto
import Execution

extension SQLFuzz {
    /// An undisturbed engine and its twin, at one height.
    final class Pair {
        private let steady: SQLTwin
        private let troubled: SQLTwin
        private let parameters: NetworkParameters
        private let validators: ValidatorSet

        /// - Parameters:
        ///   - prices: the CPU time that a block may take; nil for no limit.
        ///   - heap: the twin's memory.
        init(_ directory: String, prices: UnitPrice?, heap: TwinHeap = .ordinary) throws {
            guard let owner = keys.first else { throw TwinFailure("no key") }
            var parameters = NetworkParameters(leader: owner.publicKey)
            parameters.disabledGasCosts = true
            validators = ValidatorSet([Validator(key: owner.publicKey, power: 1)])
            self.parameters = parameters
            let genesis = Genesis(
                chainID: chainID, databaseOwner: owner.publicKey.nodeID, validators: validators,
                parameters: parameters)
            steady = try SQLTwin("\(directory)/a", genesis, prices: prices)
            troubled = try SQLTwin("\(directory)/b", genesis, prices: prices, heap: heap)
        }

        /// The maximum CPU time of a block on either engine.
        var slowestBlock: Duration { max(steady.slowestBlock, troubled.slowestBlock) }

        /// The maximum share of its allowed CPU time that a block took on either engine.
        var dearestBlock: Double { max(steady.dearestBlock, troubled.dearestBlock) }

        /// Returns the cost of the last block, in units.
        func lastCost() throws -> Int { try steady.application.blockCost() }

        /// The CPU time of the last block on the quicker engine.
        var lastBlock: Duration { min(steady.lastBlock, troubled.lastBlock) }

        /// Commits a block on both engines, without the transactions that exceed its budget, after `history` on the
        /// twin.
        func step(_ statements: [SQLFuzzCase.Statement], after history: SQLTwin.History = .none) throws
            -> [TransactionResult]
        {
            var statements = statements
            while true {
                let transactions = try sign(statements)
                let input = SQLTwin.Input(
                    block: block(transactions), transactions: transactions, parameters: parameters,
                    validators: validators)
                let outcome = try steady.execute(input, after: .none)
                if let difference = outcome.difference(from: try troubled.execute(input, after: history)) {
                    throw TwinFailure("\(history): \(difference)")
                }
                switch outcome {
                case .executed(let result, _):
                    try steady.commit()
                    try troubled.commit()
                    return result.results
                case .cut(let count) where count > 0 && count < statements.count:
                    statements.removeLast(statements.count - count)
                case .cut(let count):
                    throw TwinFailure("\(count) of \(statements.count) transactions fit into the budget")
                }
            }
        }

        private func sign(_ statements: [SQLFuzzCase.Statement]) throws -> [Transaction] {
            var nonces: [Int: UInt64] = [:]
            return try statements.map { statement in
                let sender = statement.sender % keys.count
                let key = keys[sender]
                let known =
                    try nonces[sender] ?? steady.application.account(AccountID(key.publicKey))?.nonce ?? 0
                if statement.nonceSkew == 0 { nonces[sender] = known + 1 }
                let payload = Payload.rawStatement(RawStatement(statement.sql, statement.parameters))
                return try Transaction.signed(
                    TransactionBody(payload, nonce: known + 1 + statement.nonceSkew, chainID: chainID),
                    by: key)
            }
        }

        private func block(_ transactions: [Transaction]) -> Block {
            let tip = steady.application.tip
            return Block(
                header: BlockHeader(
                    height: tip.height + 1, transactionCount: UInt32(transactions.count), previousHash: .zero,
                    previousAppHash: tip.appHash, validatorSetHash: .zero, networkParametersHash: .zero,
                    timestamp: UInt64(tip.height), merkleRoot: .zero, newLeader: nil),
                signature: [], transactions: transactions.map(\.bytes))
        }

        /// Checks that both databases are intact and hold the same rows in every table.
        func compareDatabases(_ fuzzCase: SQLFuzzCase) throws {
            let faults = try steady.application.integrityFaults()
            let twinFaults = try troubled.application.integrityFaults()
            guard faults == twinFaults else {
                throw TwinFailure("integrity checks differ: \(faults) and \(twinFaults)")
            }
            // ALTER TABLE in SQLite 3.40 gives the rows of a STRICT table a default that does not have the new
            // column's type.
            let damage = faults.filter { !($0.hasPrefix("non-") && $0.contains(" value in ")) }
            guard damage.isEmpty else {
                throw TwinFailure("integrity check: \(damage.joined(separator: "; "))")
            }
            for name in SQLFuzzCase.generate(seed: fuzzCase.seed).generator.tableNames.sorted() {
                // A query that the time limit ended would differ for no reason.
                let limits = QueryLimits(time: .seconds(600))
                let sql = "SELECT * FROM \(SQLGenerator.quoted(name.string))"
                let rows = try? steady.application.query(sql, [], limits: limits).rows
                let others = try? troubled.application.query(sql, [], limits: limits).rows
                guard rows == others else { throw TwinFailure("rows of table \(name) differ") }
            }
        }

        func close() {
            steady.remove()
            troubled.remove()
        }
    }
}
