import Bytes
import Chain
import Collections
import Crypto
import TestSupport
import Testing

@testable import Execution

/// Joining, approving, leaving and removing validators, with both applications. The leader's key is 1.
@Suite struct ValidatorTests {
    enum Kind: CaseIterable {
        case sql, noop
    }

    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func chain(
        _ kind: Kind, _ others: [(seed: UInt8, power: Int64)] = [], isGasFree: Bool = true,
        balances: [(UInt8, Amount)] = []
    ) throws -> ApplicationChain {
        try ApplicationChain(
            kind == .sql ? try directory.open() : NoopApplication(), isGasFree: isGasFree,
            balances: balances, otherValidators: others)
    }

    private func key(_ seed: UInt8) throws -> PublicKey { try TestChain.key(seed).publicKey }

    /// Commits a block with one transaction and returns the code and log of its result.
    private func run(_ chain: ApplicationChain, _ payload: Payload, by seed: UInt8) throws -> String {
        let result = try chain.commit([chain.transaction(payload, by: TestChain.key(seed))]).results[0]
        return result.isOK ? "ok" : "\(result.code) \(result.log)"
    }

    @Test(arguments: Kind.allCases) func candidateJoinsAtTwoThirds(_ kind: Kind) throws {
        let chain = try chain(kind, [(2, 1), (3, 1), (4, 1)])
        let candidate = try key(9)
        #expect(try run(chain, .validatorJoin(power: 3), by: 9) == "ok")
        #expect(try run(chain, .validatorApprove(candidate), by: 1) == "ok")
        // Approving again changes nothing.
        #expect(try run(chain, .validatorApprove(candidate), by: 1) == "ok")
        #expect(try run(chain, .validatorApprove(candidate), by: 2) == "ok")
        #expect(!chain.validators.contains(candidate))
        let pending = try chain.application.validatorRequests()
        #expect(pending.map(\.key) == [candidate])
        #expect(pending.map(\.power) == [3])
        #expect(try pending.map { Array($0.approvals) } == [[key(1), key(2)]])
        // Three of four exceed two thirds; two of four do not.
        let approval = try chain.transaction(.validatorApprove(candidate), by: TestChain.key(4))
        let result = try chain.commit([approval])
        #expect(result.validatorUpdates == [Validator(key: candidate, power: 3)])
        #expect(chain.validators.power(of: candidate) == 3)
        #expect(try chain.application.validatorRequests().isEmpty)
        #expect(
            try run(chain, .validatorApprove(candidate), by: 3)
                == "9 validator does not have a pending join request")
    }

    /// Power counts, not the number of validators: of 1 + 2 + 6, six are exactly two thirds.
    @Test(arguments: Kind.allCases) func powerDecides(_ kind: Kind) throws {
        let chain = try chain(kind, [(2, 2), (3, 6)])
        #expect(try run(chain, .validatorJoin(power: 1), by: 9) == "ok")
        #expect(try run(chain, .validatorApprove(key(9)), by: 1) == "ok")
        #expect(try run(chain, .validatorApprove(key(9)), by: 2) == "ok")
        #expect(try !chain.validators.contains(key(9)))
        #expect(try run(chain, .validatorApprove(key(9)), by: 3) == "ok")
        #expect(try chain.validators.contains(key(9)))
        #expect(try run(chain, .validatorRemove(key(2)), by: 3) == "ok")
        #expect(try chain.validators.contains(key(2)))
        #expect(try run(chain, .validatorRemove(key(2)), by: 1) == "ok")
        #expect(try !chain.validators.contains(key(2)))
    }

    @Test(arguments: Kind.allCases) func everythingInOneBlock(_ kind: Kind) throws {
        let chain = try chain(kind, [(2, 1)])
        let result = try chain.commit([
            chain.transaction(.validatorJoin(power: 1), by: TestChain.key(9)),
            chain.transaction(.validatorApprove(key(9)), by: TestChain.key(2)),
            chain.transaction(.validatorApprove(key(9))),
            // It is not a validator before the end of the block.
            chain.transaction(.validatorRemove(key(2)), by: TestChain.key(9)),
            chain.transaction(.validatorLeave, by: TestChain.key(9)),
            chain.transaction(.validatorRemove(key(2))),
            chain.transaction(.validatorRemove(key(2)), by: TestChain.key(2)),
        ])
        #expect(result.results.map(\.code) == [0, 0, 0, 9, 9, 0, 0])
        let expected = try [Validator(key: key(9), power: 1), Validator(key: key(2), power: 0)]
        #expect(result.validatorUpdates == expected.sorted { $0.key.nodeID < $1.key.nodeID })
        #expect(try Set(chain.validators.keys) == [key(1), key(9)])
    }

    @Test(arguments: Kind.allCases) func refusals(_ kind: Kind) throws {
        let chain = try chain(kind, [(2, 1)])
        #expect(try run(chain, .validatorJoin(power: 1), by: 2) == "9 caller is already a validator")
        #expect(try run(chain, .validatorJoin(power: 0), by: 9).hasPrefix("8 the power is not within"))
        #expect(try run(chain, .validatorJoin(power: 1 << 63), by: 9).hasPrefix("8 the power is not"))
        #expect(try run(chain, .validatorJoin(power: (1 << 63) - 1), by: 9) == "ok")
        #expect(
            try run(chain, .validatorJoin(power: 1), by: 9)
                == "9 validator already has a pending join request")
        #expect(try run(chain, .validatorApprove(key(9)), by: 9) == "9 cannot approve own join request")
        #expect(try run(chain, .validatorApprove(key(9)), by: 8) == "9 caller is not a validator")
        #expect(
            try run(chain, .validatorApprove(key(8)), by: 2)
                == "9 validator does not have a pending join request")
        #expect(try run(chain, .validatorLeave, by: 9) == "9 caller is not a validator")
        #expect(try run(chain, .validatorLeave, by: 1) == "9 leader cannot leave validator set")
        #expect(
            try run(chain, .validatorRemove(key(1)), by: 2)
                == "9 leader cannot be removed from validator set")
        #expect(try run(chain, .validatorRemove(key(2)), by: 9) == "9 caller is not a validator")
        #expect(try run(chain, .validatorRemove(key(9)), by: 2) == "9 target is not a validator")
        let address = try PrivateKey(type: .secp256k1, bytes: [UInt8](repeating: 7, count: 32))
        let result = try chain.commit([
            chain.transaction(.validatorJoin(power: 1), by: address, ethereum: true),
            chain.transaction(.validatorLeave, by: address, ethereum: true),
            Transaction.signed(
                TransactionBody(
                    payload: SharedBytes([0, 0, 1]), payloadType: "validator_leave", nonce: 5,
                    chainID: ApplicationChain.chainID),
                by: chain.stranger),
        ])
        #expect(result.results.map(\.code) == [9, 9, 1])
        #expect(chain.validators.count == 2)
    }

    @Test(arguments: Kind.allCases) func migrationsStopChanges(_ kind: Kind) throws {
        let chain = try chain(kind)
        chain.parameters.migrationStatus = "MigrationInProgress"
        #expect(try run(chain, .validatorJoin(power: 1), by: 9).hasPrefix("200 "))
    }

    /// In a set without its leader, which the rules cannot produce but parameters could.
    @Test(arguments: Kind.allCases) func lastValidatorStays(_ kind: Kind) throws {
        let chain = try chain(kind, [(2, 1)])
        chain.parameters.leader = try key(30)
        let result = try chain.commit([
            chain.transaction(.validatorLeave), chain.transaction(.validatorLeave, by: TestChain.key(2)),
            chain.transaction(.validatorRemove(key(2)), by: TestChain.key(2)),
        ])
        #expect(result.results.map(\.log) == ["", "last validator cannot leave", ""])
        #expect(try chain.validators.keys == [key(2)])
        #expect(try run(chain, .validatorRemove(key(2)), by: 2) == "ok")
        #expect(try chain.validators.keys == [key(2)])
        #expect(try chain.application.validatorRequests().isEmpty)
    }

    @Test(arguments: Kind.allCases) func requestsExpire(_ kind: Kind) throws {
        let chain = try chain(kind, [(2, 1)])
        // Half a millisecond is rounded up.
        chain.parameters.joinExpiry = 10_500_000
        chain.time = 1_000
        #expect(try run(chain, .validatorJoin(power: 1), by: 9) == "ok")
        #expect(try run(chain, .validatorRemove(key(2)), by: 1) == "ok")
        chain.time = 1_010
        #expect(try run(chain, .validatorApprove(key(9)), by: 1) == "ok")
        #expect(try chain.application.validatorRequests().count == 2)
        // The block at the end of which they expire still counts approvals, here too few.
        chain.time = 1_011
        let empty = try chain.commit([])
        #expect(empty.validatorUpdates.isEmpty)
        #expect(try chain.application.validatorRequests().isEmpty)
        #expect(
            try run(chain, .validatorApprove(key(9)), by: 2)
                == "9 validator does not have a pending join request")
        // It may ask again and be approved in the block with which the request would expire.
        #expect(try run(chain, .validatorJoin(power: 1), by: 9) == "ok")
        #expect(try run(chain, .validatorApprove(key(9)), by: 1) == "ok")
        chain.time = 5_000
        #expect(try run(chain, .validatorApprove(key(9)), by: 2) == "ok")
        #expect(try chain.validators.contains(key(9)))
    }

    /// A validator that leaves loses its approvals and does not regain them by returning.
    @Test(arguments: Kind.allCases) func departedDoNotCount(_ kind: Kind) throws {
        let chain = try chain(kind, [(2, 1), (3, 1), (4, 1), (5, 1), (6, 1)])
        #expect(try run(chain, .validatorJoin(power: 1), by: 9) == "ok")
        #expect(try run(chain, .validatorRemove(key(6)), by: 3) == "ok")
        for seed in [UInt8(2), 3, 4] { #expect(try run(chain, .validatorApprove(key(9)), by: seed) == "ok") }
        let result = try chain.commit([
            chain.transaction(.validatorLeave, by: TestChain.key(3)),
            chain.transaction(.validatorApprove(key(9)), by: TestChain.key(3)),
            chain.transaction(.validatorRemove(key(3))),
            chain.transaction(.validatorLeave, by: TestChain.key(3)),
            chain.transaction(.validatorJoin(power: 1), by: TestChain.key(3)),
            // With the approval of the validator that left, this would be the fourth of six.
            chain.transaction(.validatorApprove(key(9)), by: TestChain.key(5)),
        ])
        #expect(result.results.map(\.code) == [0, 9, 9, 9, 9, 0])
        #expect(try result.validatorUpdates == [Validator(key: key(3), power: 0)])
        let pending = try chain.application.validatorRequests()
        #expect(pending.map(\.kind) == [.join, .removal])
        #expect(try pending.map { Array($0.approvals) } == [[key(2), key(4), key(5)], []])
        // The sixth validator leaves; of the remaining four, three are enough from the next block on.
        #expect(try run(chain, .validatorLeave, by: 6) == "ok")
        #expect(try chain.application.validatorRequests().map(\.kind) == [.join])
        try chain.commit([])
        #expect(try chain.application.validatorRequests().isEmpty)
        #expect(try Set(chain.validators.keys) == [key(1), key(2), key(4), key(5), key(9)])
    }

    /// A proposal to remove a validator has no effect once that validator is the leader.
    @Test(arguments: Kind.allCases) func newLeaderStays(_ kind: Kind) throws {
        let chain = try chain(kind, [(2, 1), (3, 1)])
        #expect(try run(chain, .validatorRemove(key(2)), by: 3) == "ok")
        let votes = try [chain.transaction(.validatorRemove(key(2)), by: TestChain.key(1))]
        let block = try chain.block(votes, newLeader: key(2))
        let result = try chain.application.execute(
            block, transactions: votes, parameters: chain.parameters, validators: chain.validators)
        #expect(result.results.map(\.code) == [9])
        try chain.rollback()
        chain.parameters.leader = try key(2)
        #expect(try run(chain, .validatorRemove(key(1)), by: 2) == "ok")
        #expect(try run(chain, .validatorRemove(key(1)), by: 3) == "ok")
        #expect(try Set(chain.validators.keys) == [key(2), key(3)])
    }

    @Test(arguments: Kind.allCases) func feesAreAsForOthers(_ kind: Kind) throws {
        let chain = try chain(kind, isGasFree: false, balances: [(9, 10)])
        let result = try chain.commit([
            chain.transaction(.validatorJoin(power: 1), by: TestChain.key(9), fee: 7),
            chain.transaction(.validatorLeave, by: TestChain.key(9), fee: 2),
            chain.transaction(.validatorLeave, by: TestChain.key(9), fee: 2),
        ])
        #expect(result.results.map(\.code) == [0, 9, 6])
        #expect(result.results.map(\.gas) == [7, 2, 0])
        #expect(try chain.application.account(AccountID(key(9))) == Account(balance: 1, nonce: 3))
    }

    @Test(arguments: Kind.allCases) func pendingRequestsAreBounded(_ kind: Kind) throws {
        let chain = try chain(kind, [(2, 1)])
        var joins: [Transaction] = []
        for index in 0...CostModel.validatorRequests.value {
            let seed = [UInt8(index & 0xFF), UInt8(index >> 8)] + [UInt8](repeating: 0xEE, count: 30)
            joins.append(
                try chain.transaction(.validatorJoin(power: 1), by: PrivateKey(ed25519Seed: seed)))
        }
        let first = try key(of: joins[0])
        let second = try key(of: joins[1])
        try chain.commit([joins[0], chain.transaction(.validatorApprove(first))] + joins[1...])
        let pending = try chain.application.validatorRequests()
        #expect(pending.count == CostModel.validatorRequests.value)
        #expect(pending[0].key == first)
        // The oldest request without approvals was dropped.
        #expect(try pending[1].key == key(of: joins[2]))
        #expect(!pending.contains { $0.key == second })
    }

    /// Random transactions in random order: both applications agree, as does a database reopened each time, and the
    /// invariants of the validator set hold.
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64]) func anySequenceKeepsTheRules(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let others: [(seed: UInt8, power: Int64)] = [(2, 3), (3, 1), (4, 2)]
        func open(_ name: String) throws -> ApplicationChain {
            try ApplicationChain(try directory.open("\(name)\(seed)"), otherValidators: others)
        }
        let noop = try ApplicationChain(NoopApplication(), otherValidators: others)
        let sql = try open("one")
        var reopened = try open("other")
        var outcomes: [UInt32: Int] = [:]
        var changes = 0
        for number in 0..<80 {
            noop.time += UInt64(Int.random(in: 0..<40, using: &generator))
            noop.parameters.joinExpiry = 200_000_000
            noop.parameters.leader = try key(number < 60 ? 1 : 2)
            if !noop.validators.contains(try #require(noop.parameters.leader)) {
                noop.parameters.leader = noop.validators.keys[0]
            }
            var block: [Transaction] = []
            for _ in 0..<Int.random(in: 0..<8, using: &generator) {
                let other = try key(UInt8(1 + Int.random(in: 0..<9, using: &generator)))
                let payload: Payload =
                    switch Int.random(in: 0..<10, using: &generator) {
                    case 0..<3: .validatorJoin(power: UInt64(Int.random(in: 0..<4, using: &generator)))
                    case 3..<7: .validatorApprove(other)
                    case 7..<9: .validatorRemove(other)
                    default: .validatorLeave
                    }
                let sender = try TestChain.key(UInt8(1 + Int.random(in: 0..<9, using: &generator)))
                block.append(try noop.transaction(payload, by: sender))
            }
            let validators = reopened.validators
            reopened = try open("other")
            reopened.validators = validators
            let expected = try noop.commit(block)
            for chain in [sql, reopened] {
                (chain.time, chain.parameters) = (noop.time, noop.parameters)
                let result = try chain.commit(block)
                #expect(result.results == expected.results)
                #expect(result.validatorUpdates == expected.validatorUpdates)
                #expect(try chain.application.validatorRequests() == noop.application.validatorRequests())
            }
            #expect(sql.application.tip == reopened.application.tip)
            for result in expected.results { outcomes[result.code, default: 0] += 1 }
            changes += expected.validatorUpdates.count
            let set = noop.validators
            #expect(set.contains(try #require(noop.parameters.leader)))
            for request in try noop.application.validatorRequests() {
                #expect(set.contains(request.key) == (request.kind == .removal))
                #expect(request.approvals.allSatisfy { set.contains($0) })
                #expect(request.expiry > Int64(noop.time))
            }
        }
        // The sequences cover every kind of outcome.
        #expect(Set(outcomes.keys) == [0, 8, 9])
        #expect(changes > 3)
    }

    private func key(of transaction: Transaction) throws -> PublicKey {
        try PublicKey(type: .ed25519, bytes: transaction.sender.array)
    }
}
