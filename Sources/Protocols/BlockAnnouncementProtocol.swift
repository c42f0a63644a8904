import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// What the consensus protocols need from the node. All that is handed in was signed by whom it says, as far as
/// the message itself can prove; the node checks votes and what fits its state.
@ReactorActor
public protocol ConsensusInbox: AnyObject {
    /// The leader whose signatures count now.
    var leader: PublicKey? { get }
    /// Whether a proposal is worth checking its signature: a validator's that awaits this height.
    func mayWant(_ proposal: BlockProposal) -> Bool
    /// A proposal that the leader signed. True asks the peer for its block, which `received` or `failed` tells of.
    func proposed(_ proposal: BlockProposal, from peer: PeerID) -> Bool
    /// The proposed block, decoded, of the proposal's hash and height.
    func received(_ block: Block, for proposal: BlockProposal, from peer: PeerID) async
    /// The proposed block did not come, or another one.
    func failed(_ proposal: BlockProposal, _ error: ProtocolsError, from peer: PeerID)

    /// Whether a committed block is worth checking its signature: it is new to this node.
    func mayWant(_ announcement: BlockAnnouncement) -> Bool
    /// A committed block's announcement, its header signed by the leader. True asks the peer for the block, which
    /// `received` or `failed` tells of.
    func announced(_ announcement: BlockAnnouncement, from peer: PeerID) -> Bool
    /// The announced block, decoded, of the announcement's hash and height.
    func received(_ block: Block, for announcement: BlockAnnouncement, from peer: PeerID) async
    /// The announced block did not come, or another one.
    func failed(_ announcement: BlockAnnouncement, _ error: ProtocolsError, from peer: PeerID)
    /// A peer says, unsigned, that it has a block of this height: a reason to ask, never to believe.
    func hinted(height: Int64, hash: Hash, from peer: PeerID)

    /// Whether an answer is worth checking its signature: this node leads, and the voter is a validator.
    func mayWant(_ answer: AckRes) -> Bool
    /// An answer to a proposal, signed by its voter.
    func acknowledged(_ answer: AckRes, from peer: PeerID)
}

/// `/kwil/blkann/1.0.0`: the announcement of a committed block, and the block if the peer wants it (docs/wire.md,
/// section 7).
@ReactorActor
public struct BlockAnnouncementProtocol {
    static let prefix = Array("blkann:".utf8)

    private let inbox: any ConsensusInbox

    /// Hands to `inbox`.
    public init(_ inbox: any ConsensusInbox) { self.inbox = inbox }

    /// Takes one announcement, in the dialect of its first bytes. The text dialect's is unsigned: it only makes the
    /// node look.
    public func serve(_ stream: Stream) async {
        await Protocols.serve(stream) {
            let peer = stream.remotePeer
            let first = try await stream.readExactly(Self.prefix.count)
            if first == Self.prefix {
                let hash = try await stream.readHexHash()
                guard try await stream.readExactly(1) == [UInt8(ascii: ":")] else {
                    throw ProtocolsError.malformed("block announcement")
                }
                inbox.hinted(height: try await stream.readDecimal(), hash: hash, from: peer)
                return
            }
            let announcement = try await read(stream, first)
            guard inbox.mayWant(announcement) else { return }
            guard let leader = inbox.leader, announcement.verify(leader) else {
                throw ProtocolsError.wrongContent("an announcement that the leader did not sign")
            }
            guard inbox.announced(announcement, from: peer) else { return }
            do throws(ProtocolsError) {
                let block = try await receiveBlock(
                    on: stream, hash: announcement.hash, height: announcement.height)
                await inbox.received(block, for: announcement, from: peer)
            } catch {
                inbox.failed(announcement, error, from: peer)
                throw error
            }
        }
    }

    private func read(_ stream: Stream, _ first: [UInt8]) async throws -> BlockAnnouncement {
        // The parts are read with their own limits, then decoded as the whole that they are.
        var message = ByteWriter(capacity: 2048)
        message.put(bytes: first)
        message.put(bytes: try await stream.readExactly(Hash.count + 8 - first.count))
        for limit in [ProtocolLimits.headerBytes, ChainLimits.commitInfoBytes, ProtocolLimits.signatureBytes]
        {
            let part = try await stream.readCBytes(limit: limit)
            message.put(varint: Int64(part.count))
            message.put(bytes: part)
        }
        return try BlockAnnouncement(decoding: SharedBytes(message.bytes))
    }

    /// Announces a committed block to a peer and sends it if the peer wants it. Returns whether it did.
    @discardableResult
    public static func announce(
        _ announcement: SharedBytes, block: SharedBytes, to peer: PeerID, on host: Host
    ) async throws(ProtocolsError) -> Bool {
        try await exchange(host, peer, [KwilProtocol.blockAnnouncement]) { stream in
            try await stream.write(announcement)
            guard try await stream.readGet() else { return false }
            stream.setTimeout(ProtocolLimits.sendBlock)
            try await stream.write(block)
            return true
        }
    }
}

/// Asks for the block that was announced on a stream, and reads it to the stream's end.
@ReactorActor
func receiveBlock(
    on stream: Stream, hash: Hash, height: Int64
) async throws(ProtocolsError) -> Block {
    do {
        stream.setTimeout(ProtocolLimits.receiveBlock)
        try await stream.write(Stream.get)
        let block = try Block(decoding: try await stream.readRest(limit: ChainLimits.blockBytes))
        guard block.hash == hash, block.height == height else {
            throw ProtocolsError.wrongContent("another block")
        }
        stream.close()
        return block
    } catch let error as LibP2PError {
        throw .stream(error)
    } catch let error as ChainError {
        throw .refused(error)
    } catch let error as ProtocolsError {
        throw error
    } catch {
        throw .malformed("block")
    }
}
