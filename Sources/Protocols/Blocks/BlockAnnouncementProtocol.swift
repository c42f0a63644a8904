import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// `/kwil/blkann/1.0.0`: the announcement of a committed block, and the block if the peer requests it (docs/wire.md,
/// section 7).
@ReactorActor
public struct BlockAnnouncementProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/kwil/blkann/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "blocks"
    /// See `StreamProtocol.priority`.
    public nonisolated static let priority = StreamPriority.high
    static let prefix = Array("blkann:".utf8)

    private let inbox: any ConsensusInbox

    /// Hands announcements to `inbox`.
    public init(_ inbox: any ConsensusInbox) { self.inbox = inbox }

    /// Takes one announcement, in the dialect of its first bytes. In the text dialect it is unsigned, and only a reason to ask
    /// the peer.
    public func serve(_ stream: Stream) async throws {
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

    private func read(_ stream: Stream, _ first: [UInt8]) async throws -> BlockAnnouncement {
        // Each part is read with its own limit, then all are decoded as one message.
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

    /// Announces a committed block to a peer and sends it on request. Returns whether it did.
    @discardableResult
    public static func announce(
        _ announcement: SharedBytes, block: SharedBytes, to peer: PeerID, on host: Host
    ) async throws(ProtocolsError) -> Bool {
        try await exchange(host, peer, ids) { stream in
            try await stream.write(announcement)
            return try await stream.sendOnRequest(block, within: ProtocolLimits.sendBlock)
        }
    }
}
