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
            let first = try await stream.readExactly(Self.prefix.count)
            if first == Self.prefix {
                let hash = try await stream.readHexHash()
                guard try await stream.readExactly(1) == [UInt8(ascii: ":")] else {
                    throw ProtocolsError.malformed("block announcement")
                }
                await inbox.hinted(
                    height: try await stream.readDecimal(), hash: hash, from: stream.remotePeer)
                return
            }
            let announcement = try await read(stream, first)
            try await inbox.announced(
                announcement,
                BlockOffer(stream: stream, hash: announcement.hash, height: announcement.height))
        }
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
