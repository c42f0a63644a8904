import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

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
            guard inbox.mayWant(announcement, from: peer) else { return }
            switch await inbox.announced(announcement, from: peer) {
            case .fetch: break
            case .ignore: return
            case .test: return try await test(announcement, stream)
            case .forged:
                throw ProtocolsError.wrongContent(
                    "an announcement without the leader's signature or the votes")
            }
            inbox.fetching(announcement, on: stream)
            do throws(ProtocolsError) {
                let block = try await receiveBlock(
                    on: stream, hash: announcement.hash, height: announcement.height,
                    limit: inbox.blockSizes.block)
                await inbox.received(block, for: announcement, from: peer)
            } catch {
                inbox.failed(announcement, error, from: peer)
                throw error
            }
        }
    }

    /// Asks for the block, and takes no more than its first byte.
    private func test(_ announcement: BlockAnnouncement, _ stream: Stream) async throws {
        var hasSent = false
        do throws(LibP2PError) {
            stream.setTimeout(ProtocolLimits.firstByte)
            try await stream.write(Stream.get)
            hasSent = try await !stream.read(upTo: 1).isEmpty
        } catch .timedOut {
        } catch .streamReset {
        }
        stream.reset()
        inbox.tested(announcement, hasSent: hasSent, from: stream.remotePeer)
    }

    private func read(_ stream: Stream, _ first: [UInt8]) async throws -> BlockAnnouncement {
        // The parts are read with their own limits, then decoded as the whole that they are.
        var message = ByteWriter(capacity: 2048)
        message.put(bytes: first)
        message.put(bytes: try await stream.readExactly(Hash.count + 8 - first.count))
        let limits = [
            ProtocolLimits.headerBytes, inbox.blockSizes.commitInfo, ProtocolLimits.signatureBytes,
        ]
        for limit in limits {
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

/// Asks for the block that was announced on a stream, and reads it, of at most `limit` bytes, to the stream's end.
@ReactorActor
func receiveBlock(
    on stream: Stream, hash: Hash, height: Int64, limit: Int
) async throws(ProtocolsError) -> Block {
    do {
        stream.setTimeout(ProtocolLimits.receiveBlock)
        try await stream.write(Stream.get)
        let block = try Block(decoding: try await stream.readRest(limit: limit))
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
