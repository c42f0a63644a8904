import Chain
import Crypto
import Node
import Simulation
import TestSupport
import Testing

@Suite struct ChainBuilderTests {
    /// A node accepts the chain as its own and continues it.
    @Test func aNodeContinuesTheChain() async throws {
        let directory = try TemporaryDirectory()
        let root = RootDirectory(directory.path + "/node")
        let key = try PrivateKey.generate(.secp256k1)
        var configuration = Configuration()
        configuration.p2p.listen = ["127.0.0.1:0"]
        configuration.consensus.proposeTimeout = .milliseconds(1)
        configuration.consensus.emptyBlockTimeout = .milliseconds(1)
        try root.create(
            key: key,
            genesis: Genesis(
                chainID: "built", databaseOwner: key.publicKey.nodeID,
                validators: ValidatorSet([Validator(key: key.publicKey, power: 1)]),
                parameters: NetworkParameters(leader: key.publicKey)),
            configuration: configuration)
        for height in [5, 12] as [Int64] {
            let builder = try await ChainBuilder(root)
            try builder.grow(to: height, transactions: 2)
            #expect(builder.height == height)
            try builder.close()
        }
        let node = try await Node.start(root: root, configuration: configuration)
        var status = await node.status()
        #expect(status.height >= 12 && status.transactionCount == 1 + 11 * 2)
        while status.height < 14 {
            try await Task.sleep(for: .milliseconds(5))
            status = await node.status()
        }
        await node.stop()
    }
}
