import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import TestSupport
import Testing

/// Answers with what the test has set, and notes what it is told.
@ReactorActor
final class StatusSource: ConsensusStatusSource {
    var block: Block?
    var asked: [Int64] = []
    var commits: [CommitDone] = []

    func status(of height: Int64) -> ConsensusStatus {
        asked.append(height)
        return ConsensusStatus(
            height: height, phase: .proposed, best: block?.header, leaderSignature: SharedBytes([1, 2]),
            vote: nil, proposal: nil, follows: nil, commit: nil)
    }

    func proposedBlock(height: Int64, hash: Hash) -> SharedBytes? {
        block.flatMap { $0.height == height ? $0.bytes : nil }
    }

    func committed(_ message: CommitDone, from peer: PeerID) async throws(ProtocolsError) {
        guard message.verify() else { throw .wrongContent("not the validator's") }
        commits.append(message)
    }
}

@Suite struct ConsensusStatusProtocolTests {
    @ReactorActor
    private func network(_ source: StatusSource) async throws -> Network {
        try await Network { _, b in
            b.register(ConsensusStatusProtocol(source))
            b.register(ProposedBlockProtocol(source))
            b.register(CommitDoneProtocol(source))
        }
    }

    @Test func aStatusIsAskedAndAnswered() async throws {
        try await Reactor.run {
            let source = StatusSource()
            source.block = try TestChain(heights: 1).links[0].block
            let network = try await network(source)
            let status = try await ConsensusStatusProtocol.request(
                8, from: network.b.peerID, on: network.a, sizes: .largest)
            #expect(source.asked == [8])
            #expect(status == source.status(of: 8))
            await #expect(throws: LibP2PError.streamReset, "no height is below 0") {
                _ = try await network.answer(
                    ConsensusStatusProtocol.id, to: [UInt8](repeating: 255, count: 8))
            }
            await network.stop()
        }
    }

    @Test func aProposedBlockComesWhole() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 2, transactions: 300)
            let source = StatusSource()
            let network = try await network(source)
            let block = chain.links[1].block
            func request(_ hash: Hash) async throws -> Block? {
                try await ProposedBlockProtocol.request(
                    height: 2, hash: hash, from: network.b.peerID, on: network.a, sizes: .largest)
            }
            #expect(try await request(block.hash) == nil)
            source.block = block
            #expect(try await request(block.hash) == block)
            await #expect(throws: ProtocolsError.self, "another block than the requested one") {
                _ = try await request(.zero)
            }
            await network.stop()
        }
    }

    @Test func aCommitIsConfirmedUnasked() async throws {
        try await Reactor.run {
            let source = StatusSource()
            let network = try await network(source)
            let done = CommitDone(height: 3, block: .zero, appHash: .zero, by: try Network.key(1))
            try await CommitDoneProtocol.send(done, to: network.b.peerID, on: network.a)
            #expect(source.commits == [done])
            var forged = done.bytes
            forged[0] ^= 1
            await #expect(throws: LibP2PError.streamReset) {
                _ = try await network.answer(CommitDoneProtocol.id, to: forged, closing: true)
            }
            await #expect(throws: LibP2PError.streamReset, "too long") {
                _ = try await network.answer(
                    CommitDoneProtocol.id, to: [UInt8](repeating: 0, count: 300), closing: true)
            }
            #expect(source.commits == [done])
            await network.stop()
        }
    }
}
