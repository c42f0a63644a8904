import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import TestSupport
import Testing

/// Notes what it is told.
@ReactorActor
final class Inbox: ConsensusInbox {
    var leader: PublicKey?
    var blockSizes = BlockSizes.largest
    let arrivingBlocks = ArrivingBlocks()
    var keepers: BlockKeepers?
    var wants = true
    var proposals: [BlockProposal] = []
    var announcements: [BlockAnnouncement] = []
    var blocks: [Block] = []
    var failures: [ProtocolsError] = []
    var answers: [AckRes] = []
    var hints: [Int64] = []
    /// The transactions that a compact proposal need not bring, and how many the last one lacked.
    var waiting: [Transaction] = []
    var missing = 0
    /// Whether announcers are only tested, and the results of these tests.
    var onlyTests = false
    var tests: [Bool] = []

    init(_ leader: PublicKey?) { self.leader = leader }

    func proposed(_ proposal: BlockProposal, _ offer: BlockOffer) async throws(ProtocolsError) {
        guard wants, !proposals.contains(proposal) else { return }
        guard let leader, proposal.verify(leader) else { throw .wrongContent("not the leader's") }
        proposals.append(proposal)
        do throws(ProtocolsError) {
            blocks.append(try await offer.take(limit: blockSizes.block))
        } catch {
            proposals.removeAll { $0 == proposal }
            failures.append(error)
            throw error
        }
    }

    func proposed(_ proposal: BlockProposal, _ offer: CompactOffer) async throws(ProtocolsError) {
        guard wants else { return }
        guard let leader, proposal.verify(leader) else { throw .wrongContent("not the leader's") }
        proposals.append(proposal)
        do throws(ProtocolsError) {
            let (block, lie) = try await offer.take(limit: blockSizes.block)
            blocks.append(block.block)
            if let lie { throw lie }
        } catch {
            failures.append(error)
            throw error
        }
    }

    func isValidator(_ peer: PeerID) -> Bool { true }

    func keepers(of header: BlockHeader, proposedBy peer: PeerID) -> BlockKeepers? { keepers }

    func supply(_ assembly: BlockAssembly) async -> BlockAssembly {
        var assembly = assembly
        for transaction in waiting { assembly.offer(transaction) }
        missing = assembly.missing
        return assembly
    }

    func compute<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T { try job() }

    func announced(_ announcement: BlockAnnouncement, _ offer: BlockOffer) async throws(ProtocolsError) {
        guard wants else { return }
        guard let leader, announcement.verify(leader) else { throw .wrongContent("not the leader's") }
        announcements.append(announcement)
        if onlyTests { return tests.append(try await offer.test()) }
        do throws(ProtocolsError) {
            blocks.append(try await offer.take(limit: blockSizes.block))
        } catch {
            failures.append(error)
            throw error
        }
    }

    func hinted(height: Int64, hash: Hash, from peer: PeerID) async { hints.append(height) }

    func acknowledged(_ answer: AckRes, from peer: PeerID) async throws(ProtocolsError) {
        guard wants else { return }
        guard answer.verify() else { throw .wrongContent("not the voter's") }
        answers.append(answer)
    }
}

@Suite struct ConsensusProtocolTests {
    @ReactorActor
    private func network(_ inbox: Inbox) async throws -> Network {
        try await Network { _, b in
            b.register(BlockAnnouncementProtocol(inbox))
            b.register(BlockProposalProtocol(inbox))
            b.register(AcknowledgementProtocol(inbox))
        }
    }

    @Test func proposalBringsTheBlock() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 2, transactions: 300)
            let inbox = Inbox(chain.leader.publicKey)
            let network = try await network(inbox)
            let block = chain.links[1].block
            let proposal = BlockProposal(block, sender: chain.leader.publicKey)
            #expect(
                try await BlockProposalProtocol.announce(
                    proposal, block: block.bytes, to: network.b.peerID, on: network.a))
            try await eventually { inbox.blocks == [block] }
            #expect(inbox.proposals == [proposal])
            inbox.wants = false
            #expect(
                try await !BlockProposalProtocol.announce(
                    proposal, block: block.bytes, to: network.b.peerID, on: network.a))
            #expect(inbox.proposals == [proposal])
            await network.stop()
        }
    }

    @Test func secp256k1LeaderToo() async throws {
        try await Reactor.run {
            let leader = try PrivateKey(type: .secp256k1, bytes: [UInt8](repeating: 3, count: 32))
            let block = Block.signed(
                try TestChain(heights: 1).links[0].block.header, transactions: [], by: leader)
            let inbox = Inbox(leader.publicKey)
            let network = try await network(inbox)
            let proposal = BlockProposal(block, sender: leader.publicKey)
            #expect(
                try await BlockProposalProtocol.announce(
                    proposal, block: block.bytes, to: network.b.peerID, on: network.a))
            try await eventually { inbox.blocks == [block] }
            await network.stop()
        }
    }

    @Test func proposalOfSomebodyElseIsNotAskedFor() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 1)
            let inbox = Inbox(try Network.key(9).publicKey)
            let network = try await network(inbox)
            let block = chain.links[0].block
            await #expect(throws: ProtocolsError.self) {
                try await BlockProposalProtocol.announce(
                    BlockProposal(block, sender: chain.leader.publicKey), block: block.bytes,
                    to: network.b.peerID,
                    on: network.a)
            }
            #expect(inbox.proposals.isEmpty)
            #expect(inbox.blocks.isEmpty)
            await network.stop()
        }
    }

    @Test func anotherBlockThanProposedFails() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 2)
            let inbox = Inbox(chain.leader.publicKey)
            let network = try await network(inbox)
            _ = try? await BlockProposalProtocol.announce(
                BlockProposal(chain.links[1].block, sender: chain.leader.publicKey),
                block: chain.links[0].block.bytes, to: network.b.peerID, on: network.a)
            try await eventually { inbox.failures.count == 1 }
            #expect(Misbehaviour.ofResponder(inbox.failures[0]) == .wrongContent)
            #expect(inbox.blocks.isEmpty)
            await network.stop()
        }
    }

    @Test func proposalIsDownloadedOnce() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 1)
            let inbox = Inbox(chain.leader.publicKey)
            let network = try await network(inbox)
            let block = chain.links[0].block
            let proposal = BlockProposal(block, sender: chain.leader.publicKey)
            let first = try await network.stream(BlockProposalProtocol.id)
            try await first.write(proposal.bytes)
            #expect(try await first.readExactly(3) == Array("get".utf8))
            // While the first peer's block is awaited, a second announcement is closed without `get`.
            #expect(try await network.answer(BlockProposalProtocol.id, to: proposal.bytes).isEmpty)
            try await first.write(block.bytes)
            first.closeWrite()
            try await eventually { inbox.blocks == [block] }
            #expect(inbox.proposals.count == 1)
            await network.stop()
        }
    }

    @Test func announcementBringsTheBlock() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 1, transactions: 300)
            let inbox = Inbox(chain.leader.publicKey)
            let network = try await network(inbox)
            let link = chain.links[0]
            let (block, info) = (link.block, link.commitInfo)
            let announcement = BlockAnnouncement(block, info)
            func announce() async throws -> Bool {
                try await BlockAnnouncementProtocol.announce(
                    SharedBytes(announcement.bytes), block: block.bytes, to: network.b.peerID, on: network.a)
            }
            #expect(try await announce())
            try await eventually { inbox.blocks == [block] }
            #expect(inbox.announcements == [announcement])
            inbox.wants = false
            #expect(try await !announce())
            inbox.wants = true
            inbox.leader = try Network.key(9).publicKey
            await #expect(throws: ProtocolsError.self) { _ = try await announce() }
            #expect(inbox.announcements.count == 1)
            await network.stop()
        }
    }

    @Test func whoIsTestedSendsAByteOrDoesNot() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 1)
            let inbox = Inbox(chain.leader.publicKey)
            inbox.onlyTests = true
            let network = try await network(inbox)
            let link = chain.links[0]
            let (block, info) = (link.block, link.commitInfo)
            let announcement = BlockAnnouncement(block, info)
            let honest = try await network.stream(BlockAnnouncementProtocol.id)
            try await honest.write(announcement.bytes)
            #expect(try await honest.readExactly(3) == Array("get".utf8))
            try await honest.write([block.bytes[0]])
            try await eventually { inbox.tests == [true] }
            await #expect(throws: LibP2PError.streamReset) { _ = try await honest.read(upTo: 1) }
            let withholder = try await network.stream(BlockAnnouncementProtocol.id)
            try await withholder.write(announcement.bytes)
            #expect(try await withholder.readExactly(3) == Array("get".utf8))
            withholder.reset()
            try await eventually { inbox.tests == [true, false] }
            #expect(inbox.blocks.isEmpty)
            await network.stop()
        }
    }

    @Test func textAnnouncementIsOnlyAHint() async throws {
        try await Reactor.run {
            let inbox = Inbox(nil)
            let network = try await network(inbox)
            let request = Array("blkann:\(Hash.zero):42".utf8)
            #expect(try await network.answer(BlockAnnouncementProtocol.id, to: request).isEmpty)
            #expect(inbox.hints == [42])
            await network.stop()
        }
    }

    @Test func unsignedTextsAreRefused() async throws {
        try await Reactor.run {
            let inbox = Inbox(try Network.key(7).publicKey)
            let network = try await network(inbox)
            await #expect(throws: LibP2PError.streamReset) {
                _ = try await network.answer(
                    BlockProposalProtocol.id, to: Array("prop:1:\(Hash.zero)".utf8))
            }
            await #expect(throws: LibP2PError.streamReset) {
                _ = try await network.answer(
                    AcknowledgementProtocol.id, to: Array("ack:\(Hash.zero):\(Hash.zero)".utf8),
                    closing: true)
            }
            #expect(inbox.answers.isEmpty)
            await network.stop()
        }
    }

    @Test func acknowledgementsArriveVerified() async throws {
        try await Reactor.run {
            let inbox = Inbox(nil)
            let network = try await network(inbox)
            let key = try Network.key(5)
            let good = AckRes(height: 4, block: .zero, answer: .ack(appHash: .zero), by: key)
            try await AcknowledgementProtocol.send(good, to: network.b.peerID, on: network.a)
            #expect(inbox.answers == [good])
            let forged = AckRes(height: 4, block: .zero, answer: .invalidBlock, signature: good.signature)
            await #expect(throws: ProtocolsError.self) {
                try await AcknowledgementProtocol.send(forged, to: network.b.peerID, on: network.a)
            }
            #expect(inbox.answers == [good])
            await network.stop()
        }
    }
}
