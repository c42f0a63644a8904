import Chain
import Crypto
import Execution
import Multiformats
import TestSupport
import Testing

@testable import Consensus

/// Event by event: blocks that are withdrawn during execution, cost too much, or cannot be executed on this machine.
struct ExecutionTroubleTests {
    let chain: TestChain
    /// Four transactions.
    let block: CheckedBlock
    let other: CheckedBlock
    let peer: PeerID
    let full = ExecutionError.diskFull(file: "a")

    init() throws {
        let chain = try TestChain(validators: 4)
        self.chain = chain
        block = try chain.block(
            after: chain.genesis, stamp: 1000, transactions: (1...4).map { try chain.transaction($0) })
        other = try chain.block(after: chain.genesis, stamp: 2000)
        peer = chain.leader.publicKey.peerID
    }

    /// A leader that executes its own proposal.
    func leader(_ block: CheckedBlock) -> Script {
        var script = Script(chain, as: chain.leader)
        _ = script.send(.mempool(hasTransactions: true))
        #expect(script.send(.built(block)) == ["propose 1 to all", "execute 1"])
        return script
    }

    /// A validator that executes the leader's proposal.
    func validator() throws -> Script {
        var script = Script(chain, as: chain.validators[1])
        _ = script.propose(try chain.proposal(block), from: peer)
        let fetched = ConsensusEvent.proposalFetched(block, from: peer)
        #expect(script.send(fetched) == ["relay 1", "execute 1"])
        return script
    }

    func reset() throws -> ConsensusEvent {
        .reset(
            try LeaderMessage(
                ConsensusReset(height: 0, transactions: []), author: chain.leader.publicKey,
                leader: chain.leader.publicKey))
    }

    /// Returns the transaction limit of the leader's next block, once it may build it.
    func limit(_ script: inout Script, after wait: Duration) -> Int? {
        script.now += wait
        for action in script.actions(.timer) {
            if case .build(let template) = action { return template.transactionLimit }
        }
        return nil
    }

    // MARK: Withdrawn during execution

    @Test func aTimeoutStopsTheExecutionAndHalvesTheBlock() {
        var script = leader(block)
        #expect(script.wait(.seconds(60)).suffix(3) == ["warn", "reset to 0", "stop"])
        #expect(script.wait(.seconds(60)) == [], "nothing is built before the execution has ended")
        #expect(script.send(.executionFailed(block.hash, .stopped)) == ["build 1 empty"])
        #expect(script.machine.leader?.transactionLimit == 2)
    }

    @Test func aResetStopsTheExecution() throws {
        var script = try validator()
        #expect(script.send(try reset()) == ["stop"])
        #expect(script.send(try reset()) == [], "once")
        #expect(script.send(.executionFailed(block.hash, .stopped)) == [])
        #expect(script.propose(try chain.proposal(other), from: peer) == ["fetch proposal 1"])
        let fetched = ConsensusEvent.proposalFetched(other, from: peer)
        #expect(script.send(fetched) == ["relay 1", "execute 1"])
    }

    @Test func whatEndsInSpiteOfTheOrderIsRolledBack() throws {
        var script = try validator()
        _ = script.send(try reset())
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["roll back"])
    }

    @Test func aNewerProposalStopsTheExecution() throws {
        var script = try validator()
        _ = script.propose(try chain.proposal(other), from: peer)
        let fetched = ConsensusEvent.proposalFetched(other, from: peer)
        #expect(script.send(fetched) == ["relay 1", "stop"])
        #expect(script.send(.executionFailed(block.hash, .stopped)) == ["execute 1"])
    }

    @Test(arguments: [true, false])
    func anotherBlockThatIsCommittedStopsTheExecution(isValidator: Bool) throws {
        var script: Script
        if isValidator {
            script = try validator()
        } else {
            script = Script(chain, as: chain.sentry)
            _ = script.announce(try chain.commit(block), from: peer)
            #expect(script.send(.decided(try chain.commit(block), block)) == ["execute 1"])
        }
        #expect(script.send(.decided(try chain.commit(other), other)) == ["stop"])
        #expect(script.send(.executionFailed(block.hash, .stopped)) == ["execute 1"])
        #expect(script.send(.executed(other.hash, TestChain.result(other))) == ["commit 1 votes 4"])
    }

    @Test func whatIsCommittedAfterItsWithdrawalRunsAgain() throws {
        var script = try validator()
        _ = script.send(try reset())
        #expect(script.send(.decided(try chain.commit(block), block)) == [])
        #expect(script.send(.executionFailed(block.hash, .stopped)) == ["execute 1"])
    }

    @Test func anOrderThatStopsTheWrongExecutionCostsATry() throws {
        var script = try validator()
        #expect(script.send(.executionFailed(block.hash, .stopped)) == ["execute 1"])
    }

    // MARK: Over budget

    @Test func theLeaderProposesWhatFitsTheBudget() {
        var script = leader(block)
        #expect(
            script.send(.executionFailed(block.hash, .overBudget(transactions: 3))) == ["warn", "reset to 0"])
        #expect(limit(&script, after: .milliseconds(100)) == 3)
    }

    @Test func aLimitIsBelowTheBlockAndAboveNothing() {
        for (said, limited) in [(0, 1), (4, 3), (9, 3)] {
            var script = leader(block)
            _ = script.send(.executionFailed(block.hash, .overBudget(transactions: said)))
            #expect(limit(&script, after: .milliseconds(100)) == limited)
        }
    }

    @Test func validatorsRefuseWhatIsOverTheBudget() throws {
        var script = try validator()
        #expect(
            script.send(.executionFailed(block.hash, .overBudget(transactions: 3))) == [
                "warn", "vote 1 invalid block",
            ])
    }

    @Test func whatIsCommittedCannotBeOverTheBudget() throws {
        var script = try validator()
        _ = script.send(.decided(try chain.commit(block), block))
        _ = script.send(.executionFailed(block.hash, .overBudget(transactions: 3)))
        guard case .invalidBlock(height: 1, _) = script.machine.halted else {
            Issue.record("halted: \(String(describing: script.machine.halted))")
            return
        }
    }

    // MARK: Trouble of the machine

    @Test func theLeaderKeepsWhatItsMachineCannotExecute() throws {
        let single = try chain.block(
            after: chain.genesis, stamp: 1000, transactions: [try chain.transaction(1)])
        var script = leader(single)
        var actions = script.actions(.executionFailed(single.hash, full))
        #expect(actions.map(Script.line) == ["warn", "reset to 0"])
        guard case .broadcastReset(let reset) = actions.removeLast() else { return }
        #expect(reset.transactions.isEmpty)
        #expect(limit(&script, after: .milliseconds(3_999)) == nil)
        #expect(limit(&script, after: .milliseconds(1)) == .max)
    }

    @Test func theLeaderTriesHalfOfWhatItsMachineCannotExecute() {
        var script = leader(block)
        _ = script.send(.executionFailed(block.hash, full))
        #expect(limit(&script, after: .seconds(4)) == 2)
    }

    @Test func aValidatorDoesNotVoteAndGoesOnTrying() throws {
        var script = try validator()
        #expect(script.send(.executionFailed(block.hash, full)) == ["warn"])
        for wait in [2, 4, 8, 16, 30, 30] {
            #expect(script.machine.deadline == script.now + .seconds(wait))
            #expect(script.wait(.seconds(wait)) == ["execute 1"])
            let lines = script.send(.executionFailed(block.hash, full))
            #expect(lines == (script.now == .seconds(60) ? ["warn"] : []), "once a minute")
        }
        _ = script.wait(.seconds(30))
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["vote 1 ack"])
    }

    @Test func whatIsCommittedIsTriedWithoutEnd() throws {
        var script = try validator()
        _ = script.send(.executionFailed(block.hash, full))
        #expect(script.send(.decided(try chain.commit(block), block)) == ["execute 1"], "at once")
        for _ in 0..<20 {
            _ = script.send(.executionFailed(block.hash, full))
            #expect(script.send(.timer) == [])
            #expect(script.machine.halted == nil)
            #expect(script.wait(.seconds(30)) == ["execute 1"])
        }
        #expect(script.send(.executed(block.hash, TestChain.result(block))) == ["commit 1 votes 4"])
    }

    @Test func aCorruptDatabaseStopsTheNode() throws {
        var script = try validator()
        let error = ExecutionError.corrupt(file: "a", reason: "malformed")
        #expect(
            script.send(.executionFailed(block.hash, error)) == ["halt: block 1 cannot be executed: \(error)"]
        )
    }
}
