import Chain
import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Consensus
@testable import Execution

/// Runs of decided blocks, which a node that is behind commits together.
@Suite struct RunTests {
    let chain: TestChain
    /// The blocks with their commits by the results of the application `noop`.
    var blocks: [DecidedBlock] = []
    var states: [ChainState]

    init() throws {
        chain = try TestChain(validators: 4)
        let application = NoopApplication()
        try application.initialize(Self.genesis(chain))
        states = [chain.genesis]
        for height in 1...6 {
            let state = states[height - 1]
            let block = try chain.block(
                after: state, stamp: UInt64(height) * 1_000,
                transactions: [try chain.transaction(UInt64(height))])
            let result = try application.execute(
                block.block, transactions: block.transactions, parameters: state.parameters,
                validators: state.validators)
            try application.commit()
            let commit = try chain.commit(block, appHash: result.appHash, after: state)
            blocks.append(DecidedBlock(commit, block))
            states.append(try state.after(block.header, hash: block.hash, commit: commit.info))
        }
    }

    private static func genesis(_ chain: TestChain) -> Genesis {
        Genesis(
            chainID: TestChain.chainID, databaseOwner: chain.leader.publicKey.nodeID,
            validators: chain.genesis.validators, parameters: chain.genesis.parameters)
    }

    private func application() throws -> NoopApplication {
        let application = NoopApplication()
        try application.initialize(Self.genesis(chain))
        return application
    }

    var peer: PeerID { chain.validators[2].publicKey.peerID }

    /// A sentry that knows of six blocks.
    func behind() -> Script {
        var script = Script(chain, as: chain.sentry)
        _ = script.announce(blocks[5].commit, from: peer)
        return script
    }

    // MARK: The machine

    @Test func syncedBlocksAreCommittedTogether() throws {
        var script = behind()
        #expect(script.send(.synced(blocks)) == ["commit 1 to 6"])
        #expect(script.send(.runCommitted(count: 6)) == ["announce 6 to all"])
        #expect(script.machine.state.hash == blocks[5].block.hash)
        #expect(script.published.state.height == 6 && !script.machine.isSyncing)
    }

    @Test func aRunThatEndsEarlyIsFollowedByTheNext() throws {
        var script = behind()
        #expect(script.send(.synced(Array(blocks[..<3]))) == ["commit 1 to 3"])
        #expect(script.send(.synced(Array(blocks[3...]))) == [], "the lane is in use")
        #expect(script.send(.runCommitted(count: 2)) == ["commit 3 to 6"])
        #expect(script.send(.runCommitted(count: 3)) == ["execute 6"], "one is no run")
        _ = script.send(.executed(blocks[5].block.hash, result(5)))
        #expect(script.send(.committed(blocks[5].block.hash)) == ["announce 6 to all"])
    }

    @Test func blocksThatArriveWhileOneIsCommittedMakeARun() throws {
        var script = behind()
        #expect(script.send(.synced(Array(blocks[..<1]))) == ["execute 1"])
        #expect(script.send(.synced(Array(blocks[1...]))) == [])
        _ = script.send(.executed(blocks[0].block.hash, result(0)))
        #expect(script.send(.committed(blocks[0].block.hash)) == ["commit 2 to 6"])
    }

    @Test func whatCannotBeCommittedTogetherIsCommittedAlone() throws {
        var script = behind()
        _ = script.send(.synced(blocks))
        #expect(script.send(.runFailed) == ["execute 1"])
        for index in blocks.indices {
            let hash = blocks[index].block.hash
            #expect(script.send(.executed(hash, result(index))) == ["commit \(index + 1) votes 4"])
            let next = index + 2 <= 6 ? ["execute \(index + 2)"] : ["announce 6 to all"]
            #expect(script.send(.committed(hash)) == next)
        }
    }

    @Test func theBlockThatIsWrongStopsTheMachine() throws {
        var script = behind()
        _ = script.send(.synced(blocks))
        _ = script.send(.runFailed)
        _ = script.send(.executed(blocks[0].block.hash, TestChain.result(blocks[0].block, appHash: .zero)))
        #expect(
            script.machine.halted
                == .applicationHashDiffers(height: 1, own: .zero, committed: blocks[0].commit.appHash))
    }

    @Test func blocksThatDoNotFollowAreNotTaken() throws {
        var script = behind()
        #expect(script.send(.synced(Array(blocks[2...]))) == [], "the first two are missing")
        #expect(script.machine.following.isEmpty)
        #expect(script.send(.synced(Array(blocks[1..<3]))) == [])
        #expect(script.machine.following.count == 1)
        #expect(script.send(.synced(blocks)) == ["commit 1 to 6"], "again, and the others")
        #expect(script.machine.following.count == 4)
    }

    private func result(_ index: Int) -> ExecutionResult {
        TestChain.result(blocks[index].block, appHash: blocks[index].commit.appHash)
    }

    // MARK: Execution

    private func run(_ blocks: ArraySlice<DecidedBlock>) -> DecidedRun {
        DecidedRun(before: states[blocks.startIndex], blocks: Array(blocks))
    }

    @Test func aRunHasTheResultsThatTheNetworkCommitted() throws {
        let application = try application()
        let results = try run(blocks[...]).execute(on: application) { false }
        #expect(results.map(\.appHash) == blocks.map(\.commit.appHash))
        #expect(application.tip.height == 0, "nothing is committed yet")
        try application.commit()
        #expect(application.tip == ApplicationTip(height: 6, appHash: blocks[5].commit.appHash))
    }

    @Test func aRunEndsWhenTimeIsUp() throws {
        let application = try application()
        var looks = 0
        let results = try run(blocks[...]).execute(on: application) {
            looks += 1
            return looks == 3
        }
        #expect(results.count == 3)
        try application.commit()
        #expect(try run(blocks[3...]).execute(on: application) { true }.count == 1, "at least one")
    }

    @Test func anotherOutcomeThanTheNetworksEndsARun() throws {
        let (state, block) = (states[2], blocks[2].block)
        let other = DecidedBlock(try chain.commit(block, appHash: .zero, after: state), block)
        #expect(
            throws: ConsensusError.applicationHashDiffers(
                height: 3, own: blocks[2].commit.appHash, committed: .zero)
        ) {
            try run([blocks[0], blocks[1], other]).execute(on: try application()) { false }
        }
        #expect(throws: ConsensusError.self) {
            try run([blocks[0], blocks[2]]).execute(on: try application()) { false }
        }
    }
}
