import Bytes
import Chain
import Crypto
import Testing

@testable import Node

/// Leaders that lose their disks or never return.
@Suite(.serialized) struct LeaderLossTests {
    @Test func aLeaderWithANewDiskCatchesUpAndGoesOn() async throws {
        try await LocalNetwork.run { network in
            try await network.startAll(withTableAt: "sentry-1")
            try await network.insert(0..<10, at: "sentry-1")
            try await network.agree(rows: 10)
            for round in 1...2 as ClosedRange<Int64> {
                await network.stop("leader")
                try network.wipe("leader")
                try await network.start("leader")
                try await network.connected()
                try await network.insert(round * 10..<round * 10 + 10, at: "sentry-1")
                try await network.agree(rows: round * 10 + 10)
            }
        }
    }

    @Test func aPromotedValidatorLeads() async throws {
        try await LocalNetwork.run(validators: 3, sentries: 0) { network in
            try await network.startAll(withTableAt: "validator-2")
            try await network.insert(0..<10, at: "validator-2")
            try await network.agree(rows: 10)
            await network.stop("leader")
            let successor = try network.key("validator-1").publicKey
            let height = try await network.node("validator-1").status().height + 1
            let followers = ["validator-1", "validator-2", "validator-3"]
            for name in followers { await network.stop(name) }
            for name in followers {
                try await network.start(name) {
                    $0.consensus.promoteLeader = successor.nodeID
                    $0.consensus.promoteHeight = Int(height)
                    guard name != "validator-1" else { return }
                    $0.p2p.bootnodes = [try? network.bootnode("validator-1")].compactMap { $0 }
                }
            }
            try await network.insert(10..<20, at: "validator-2")
            try await network.agree(rows: 20)
            #expect(try await network.node("validator-1").status().role == .leader)
            // The old leader returns, learns of the promotion, and follows.
            try await network.start("leader") {
                $0.p2p.bootnodes = [try? network.bootnode("validator-1")].compactMap { $0 }
            }
            try await network.insert(20..<30, at: "validator-2")
            try await network.agree(rows: 30)
            #expect(try await network.node("leader").status().role == .validator)
        }
    }

    @Test func halfAPromotionIsRefusedAtTheStart() throws {
        var configuration = Configuration()
        configuration.consensus.promoteLeader = "nonsense"
        #expect(throws: NodeError.self) { try configuration.consensus.promotion() }
        configuration.consensus.promoteHeight = 5
        #expect(throws: NodeError.self) { try configuration.consensus.promotion() }
        let key = try PrivateKey.generate(.ed25519).publicKey
        configuration.consensus.promoteLeader = key.nodeID
        #expect(try configuration.consensus.promotion()?.leader == key)
    }
}
