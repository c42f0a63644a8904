import Chain
import Crypto
import Reactor
import TestSupport
import Testing

@testable import Consensus

/// The state that a role keeps at the next height, and the part of the machine that others read.
struct RoleTests {
    let chain: TestChain
    let settings = ConsensusSettings()

    init() throws { chain = try TestChain(validators: 4) }

    private func machine(_ key: PrivateKey) -> ConsensusMachine { Script(chain, as: key).machine }

    /// Former roles with a state of their own.
    private var formerRoles: [Role?] {
        var leader = Role.Leader(settings, opening: .seconds(9), .seconds(9))
        leader.withdrawn.note(.zero)
        leader.doubted = [chain.sentry.publicKey]
        var validator = Role.Validator(settings)
        validator.outOfSyncAt = .seconds(9)
        return [nil, .leader(leader), .validator(validator), .follower]
    }

    @Test func theChainDecidesTheRoleWhateverItWas() {
        let expected: [(PrivateKey, RoleName)] = [
            (chain.leader, .leader), (chain.validators[1], .validator), (chain.sentry, .sentry),
        ]
        for (key, name) in expected {
            for former in formerRoles {
                var machine = machine(key)
                machine.takeRole(after: former, .seconds(10))
                #expect(machine.role.name == name)
                #expect((machine.leader != nil) == (name == .leader))
                #expect((machine.validator != nil) == (name == .validator))
            }
        }
    }

    @Test func whoChangesRolesKeepsNothing() throws {
        for former in formerRoles where former?.name != .leader {
            var machine = machine(chain.leader)
            machine.takeRole(after: former, .seconds(10))
            let leader = try #require(machine.leader)
            #expect(leader.withdrawn.isEmpty && leader.doubted.isEmpty)
            #expect(leader.lastBlock == .seconds(10))
        }
        for former in formerRoles where former?.name != .validator {
            var machine = machine(chain.validators[1])
            machine.takeRole(after: former, .seconds(10))
            #expect(machine.validator?.outOfSyncAt == nil)
        }
    }

    @Test func whoKeepsItsRoleKeepsWhatOutlivesAHeight() throws {
        var machine = machine(chain.leader)
        machine.takeRole(after: formerRoles[1], .seconds(10))
        let leader = try #require(machine.leader)
        #expect(leader.doubted == [chain.sentry.publicKey])
        #expect(leader.withdrawn.isEmpty, "it belongs to the height")
        machine = self.machine(chain.validators[1])
        machine.takeRole(after: formerRoles[2], .seconds(10))
        #expect(machine.validator?.outOfSyncAt == .seconds(9))
    }

    @Test func theTimersOfARoleEndWithIt() {
        var machine = machine(chain.sentry)
        for timer: ConsensusMachine.Timer in [
            .build, .abandon, .confirm, .recovery, .resend, .offers, .decision, .retry,
        ] {
            machine.timers.arm(timer, at: .seconds(99))
        }
        machine.takeRole(after: formerRoles[1], .seconds(10))
        #expect(machine.timers.names == [.decision, .retry])
    }

    @Test func onlyALeaderThatGoesOnAnnouncesAgain() {
        for (former, isConfirmed) in zip(formerRoles, [false, true, true, true]) {
            var machine = machine(chain.leader)
            machine.takeRole(after: former, .seconds(10))
            #expect((machine.timers[.confirm] != nil) == isConfirmed, "nothing was committed at the start")
        }
    }

    @Test func aChangedViewIsPublishedFirst() throws {
        let block = try chain.block(after: chain.genesis, stamp: 1000)
        var script = Script(chain, as: chain.sentry)
        #expect(script.published.state.height == 0)
        _ = script.send(.decided(try chain.commit(block), block))
        _ = script.send(.executed(block.hash, TestChain.result(block)))
        #expect(script.published.state.height == 0)
        var actions: [ConsensusAction] = []
        let now = Instant(elapsed: script.now, wallClock: script.wallClock)
        script.machine.handle(.committed(block.hash), at: now, actions: &actions)
        guard case .publish(let view)? = actions.first else {
            Issue.record("first comes \(actions.first.map(Script.line) ?? "nothing")")
            return
        }
        #expect(view.state.height == 1 && view.role == .sentry && view.proposer == chain.leader.publicKey)
        actions = []
        script.machine.handle(.mempool(hasTransactions: true), at: now, actions: &actions)
        guard actions.count == 1, case .publish(let view)? = actions.first else {
            Issue.record("\(actions.map(Script.line))")
            return
        }
        #expect(view.hasTransactions)
        actions = []
        script.machine.handle(.mempool(hasTransactions: true), at: now, actions: &actions)
        #expect(actions.isEmpty, "nothing that others read has changed")
    }
}
