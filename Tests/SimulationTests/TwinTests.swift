import Chain
import Crypto
import Reactor
import TestSupport
import Testing
import VirtualIO

@testable import Execution
@testable import Simulation

/// A machine and its twin agree whatever the twin's history, and a machine that differs is reported with both values.
@Suite struct TwinTests {
    @Test func aTwinAgreesWhateverItLivesThrough() throws {
        try MemoryNetwork.run {
            let pair = try TwinPair()
            for _ in 0..<40 { try pair.step() }
            #expect(pair.failures == [])
        }
    }

    @Test func aDifferenceNamesMachineHeightAndBothValues() throws {
        try MemoryNetwork.run {
            let pair = try TwinPair()
            try pair.step()
            try pair.step { $0.appHash = .zero }
            let failure = try #require(pair.failures.first)
            #expect(failure.checker == "twin")
            #expect(
                failure.detail.contains("node 7 and its twin differ at height 2: app hashes 0000"))
            // Later differences are not reported.
            try pair.step()
            #expect(pair.failures.count == 1)
        }
    }

    @Test func aMachineThatStartsAnewDoesAsBefore() throws {
        try MemoryNetwork.run {
            let pair = try TwinPair()
            for _ in 0..<3 { try pair.step() }
            try pair.restartFromGenesis { _ in }
            #expect(pair.failures == [])
            try pair.restartFromGenesis { $0.cost += 1 }
            #expect(pair.failures.first?.detail.contains("height 1: executed again: the block costs") == true)
        }
    }

    @Test func outcomesDifferInAnyOfTheirParts() {
        let same = TwinPair.Edit()
        #expect(same.outcome.difference(from: same.outcome) == nil)
        let edits: [(inout TwinPair.Edit) -> Void] = [
            { $0.cost = 8 }, { $0.appHash = Hash.sha256(of: [1]) },
            { $0.results = [TransactionResult(code: 1, gas: 3, log: "e\u{301}")] },
            { $0.results = [TransactionResult(code: 0, gas: 4, log: "e\u{301}")] },
            // Equal to Swift's String, but with other bytes.
            { $0.results = [TransactionResult(code: 0, gas: 3, log: "\u{E9}")] }, { $0.results = [] },
            { $0.validators = [] }, { $0.accounts = [] },
        ]
        for edit in edits {
            var other = same
            edit(&other)
            #expect(same.outcome.difference(from: other.outcome) != nil)
        }
        #expect(SQLTwin.Outcome.cut(3).difference(from: .cut(3)) == nil)
        #expect(
            SQLTwin.Outcome.cut(3).difference(from: .cut(4))
                == "cut after 3 transactions and cut after 4 transactions")
        #expect(same.outcome.difference(from: .cut(1)) != nil)
    }

    @Test func theHeapMakesNoDifference() throws {
        let directory = try TemporaryDirectory()
        for seed: UInt64 in 1...3 {
            #expect(
                SQLFuzz(prices: UnitPrice(loopOf: 1, took: .seconds(1))).run(
                    seed: seed, directory: "\(directory.path)/\(seed)"
                )
                .failure == nil)
        }
    }
}

/// A machine's application with a twin beside it.
@ReactorActor
private final class TwinPair {
    /// A test's changes to an outcome.
    struct Edit {
        var cost = 7
        var appHash = Hash.zero
        var results = [TransactionResult(code: 0, gas: 3, log: "e\u{301}")]
        var validators = SQLFuzz.keys.map { Validator(key: $0.publicKey, power: 1) }
        var accounts = SQLFuzz.keys.map {
            ExecutionResult.ChangedAccount(id: AccountID($0.publicKey), nonce: 1, balance: .zero)
        }

        var outcome: SQLTwin.Outcome {
            .executed(
                ExecutionResult(
                    appHash: appHash, results: results, parameterUpdates: ParameterUpdates(),
                    validatorUpdates: validators, accounts: accounts), cost: cost)
        }
    }

    private(set) var failures: [CheckerFailure] = []
    private let directory: TemporaryDirectory
    private let genesis: Genesis
    private var application: SQLApplication
    private var checker: TwinChecker?
    private var blocks: [SQLTwin.Input] = []
    private var restarts = 0

    init() throws {
        directory = try TemporaryDirectory()
        let owner = try #require(SQLFuzz.keys.first)
        var parameters = NetworkParameters(leader: owner.publicKey)
        parameters.disabledGasCosts = true
        genesis = Genesis(
            chainID: SQLFuzz.chainID, databaseOwner: owner.publicKey.nodeID,
            validators: ValidatorSet([Validator(key: owner.publicKey, power: 1)]), parameters: parameters)
        application = try SQLApplication(directory: "\(directory.path)/0")
        try application.initialize(genesis)
        checker = TwinChecker(of: "node 7", seed: 4, directory: "\(directory.path)/twin", genesis: genesis) {
            [unowned self] in failures.append($0)
        }
    }

    /// Commits a block of one statement; the twin's checker gets its outcome with the changes by `edit`.
    func step(_ edit: (inout Edit) -> Void = { _ in }) throws {
        let owner = try #require(SQLFuzz.keys.first)
        let nonce = UInt64(blocks.count + 1)
        let sql =
            nonce == 1 ? "CREATE TABLE t (k INTEGER PRIMARY KEY, v)" : "INSERT INTO t (v) VALUES ('\u{E9}')"
        let transaction = try Transaction.signed(
            TransactionBody(.rawStatement(RawStatement(sql)), nonce: nonce, chainID: SQLFuzz.chainID),
            by: owner)
        let tip = application.tip
        let header = BlockHeader(
            height: tip.height + 1, transactionCount: 1, previousHash: .zero, previousAppHash: tip.appHash,
            validatorSetHash: .zero, networkParametersHash: .zero, timestamp: 0, merkleRoot: .zero,
            newLeader: nil)
        let input = SQLTwin.Input(
            block: Block(header: header, signature: [], transactions: [transaction.bytes]),
            transactions: [transaction], parameters: genesis.parameters, validators: genesis.validators)
        blocks.append(input)
        try execute(input, edit)
    }

    /// Makes the machine execute all blocks again on a new database.
    func restartFromGenesis(_ edit: (inout Edit) -> Void) throws {
        application.close()
        restarts += 1
        application = try SQLApplication(directory: "\(directory.path)/\(restarts)")
        try application.initialize(genesis)
        for input in blocks { try execute(input, edit) }
    }

    private func execute(_ input: SQLTwin.Input, _ edit: (inout Edit) -> Void) throws {
        let result = try application.execute(
            input.block, transactions: input.transactions, parameters: input.parameters,
            validators: input.validators)
        var edited = Edit(
            cost: try application.blockCost(), appHash: result.appHash, results: result.results,
            validators: result.validatorUpdates, accounts: result.accounts)
        edit(&edited)
        checker?.executed(input, edited.outcome)
        try application.commit()
        checker?.committed()
    }
}
