import Chain
import Crypto
import Testing

@testable import Node

/// Validators join and leave while a network runs.
@Suite(.serialized) struct ValidatorNetworkTests {
    private func expectRoles(_ roles: [String: RoleName], _ network: LocalNetwork) async throws {
        try await LocalNetwork.wait {
            for (name, role) in roles {
                let now = try await network.node(name).status().role
                if now != role { return "\(name) is a \(now.rawValue)" }
            }
            return nil
        }
    }

    @Test(arguments: ["sql", "noop"])
    func aSentryJoinsAndVotesAndAnotherIsRemoved(_ application: String) async throws {
        try await LocalNetwork.run(validators: 1, sentries: 1) { network in
            // Neither is a validator all the time, and a leader admits strangers only if they are named.
            let sentries = try ["sentry-1", "validator-1"].map { try network.key($0).publicKey.nodeID }
            try await network.start("leader") {
                $0.execution.application = application
                $0.p2p.sentries = sentries
            }
            try await network.start("validator-1") { $0.execution.application = application }
            let leader = try network.bootnode("leader")
            try await network.start("sentry-1") {
                $0.execution.application = application
                $0.p2p.bootnodes = [leader]
            }
            try await network.connected()
            let candidate = try network.key("sentry-1").publicKey
            let other = try network.key("validator-1").publicKey

            let joined = try await network.commit(
                .validatorJoin(power: 1), by: "sentry-1", at: "sentry-1")
            #expect(joined?.isOK == true)
            #expect(try await network.node("leader").validatorRequests().map(\.key) == [candidate])
            for name in ["leader", "validator-1"] {
                let approved = try await network.commit(.validatorApprove(candidate), by: name, at: name)
                #expect(approved?.isOK == true)
            }
            try await expectRoles(["sentry-1": .validator, "validator-1": .validator], network)
            for name in network.names {
                let state = try await network.node(name).network()
                #expect(state.validators.count == 3)
                #expect(state.validators.power(of: candidate) == 1)
                #expect(try await network.node(name).validatorRequests().isEmpty)
            }

            // Its vote decides while the other is stopped. Together with the leader it removes the other.
            await network.stop("validator-1")
            for name in ["leader", "sentry-1"] {
                let vote = try await network.commit(.validatorRemove(other), by: name, at: name)
                #expect(vote?.isOK == true, "\(vote?.log ?? "")")
            }
            try await network.start("validator-1") { $0.execution.application = application }
            try await expectRoles(["sentry-1": .validator, "validator-1": .sentry], network)
            #expect(try await network.commit(.validatorLeave, by: "validator-1", at: "leader")?.code == 9)

            // A restart changes nothing, although the noop application executes everything again.
            await network.stop("sentry-1")
            try await network.start("sentry-1") {
                $0.execution.application = application
                $0.p2p.bootnodes = [leader]
            }
            try await expectRoles(["sentry-1": .validator], network)
            #expect(try await network.commit(.validatorLeave, by: "sentry-1", at: "leader")?.isOK == true)
            try await expectRoles(
                ["leader": .leader, "sentry-1": .sentry, "validator-1": .sentry], network)
        }
    }

    @Test func aBlocksOnlyNodeFollowsAndServes() async throws {
        try await LocalNetwork.run(validators: 1, sentries: 2) { network in
            try await network.start("leader")
            try await network.start("validator-1")
            try await network.commit(LocalNetwork.createTable, at: "leader")
            try await network.start("sentry-1") { $0.mempool.isEnabled = false }
            try await network.insert(0..<20, at: "validator-1")
            try await network.agree(rows: 20)
            let archive = try network.node("sentry-1")
            let status = await archive.status()
            #expect(status.isBlocksOnly)
            #expect(status.mempoolCount == 0)
            let transaction = try network.transaction("SELECT 1")
            await #expect {
                try await archive.broadcast(transaction.bytes, waitForCommit: false)
            } throws: { error in
                guard case NodeError.blocksOnly? = error as? NodeError else { return false }
                return true
            }
            network.nonce -= 1
            // A node whose only peer it is gets all blocks from it, and follows the chain.
            let source = try network.bootnode("sentry-1")
            try await network.start("sentry-2") {
                $0.p2p.bootnodes = [source]
                $0.p2p.pex = false
            }
            try await network.agree(rows: 20)
            // Unconfirmed transactions never reached it either.
            await network.stop("validator-1")
            try await network.insert(20..<25, at: "leader")
            try await LocalNetwork.wait {
                await (try network.node("leader")).status().mempoolCount == 5 ? nil : "not waiting"
            }
            #expect(await archive.status().mempoolCount == 0)
            try await network.start("validator-1")
            try await network.agree(rows: 25)
        }
    }

    @Test(arguments: ["leader", "validator-1"])
    func whoVotesNeedsItsMempool(_ name: String) async throws {
        try await LocalNetwork.run(validators: 1, sentries: 0) { network in
            let error = await #expect(throws: NodeError.self) {
                try await network.start(name) { $0.mempool.isEnabled = false }
            }
            let role = name == "leader" ? "leader" : "validator"
            #expect(
                error?.description.hasPrefix("mempool.enabled is false, but this node is a \(role)") == true)
        }
    }
}
