import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// `/apus/blkshare/1.0.0`: transactions of a proposed block that one validator passes on to another as they come (docs/wire.md,
/// section 8).
@ReactorActor
public struct BlockShareProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/apus/blkshare/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "blocks"
    /// See `StreamProtocol.priority`.
    public nonisolated static let priority = StreamPriority.high
    /// The maximum size of a bitmap, in bytes: that of the smallest transactions in the largest block.
    static let bitmapBytes = PlaceSet.size(of: BlockSizes.largest.block / ChainLimits.leastTransactionBytes)

    private let inbox: any ConsensusInbox

    /// Serves the blocks that arrive at `inbox`.
    public init(_ inbox: any ConsensusInbox) { self.inbox = inbox }

    /// Answers one request of a validator.
    public func serve(_ stream: Stream) async throws {
        let hash = try await stream.readHash()
        let bitmap = try await stream.readCBytes(limit: Self.bitmapBytes)
        guard inbox.isValidator(stream.remotePeer) else { return }
        try await inbox.arrivingBlocks.serve(hash, to: stream.remotePeer) { block in
            let wanted = try PlaceSet(decoding: bitmap.array, capacity: block.count)
            stream.setTimeout(ProtocolLimits.sendBlock)
            var writer = PlacedTransactionWriter(stream)
            try await block.passOn(wanted) {
                try await writer.flush()
            } send: {
                try await writer.write($0, at: $1)
            }
            try await writer.end()
        }
    }

    /// Requests transactions from a validator, which come as it gets them itself, of at most `limit` bytes in all.
    static func request(
        _ wanted: PlaceSet, of block: Hash, from peer: PeerID, on host: Host, limit: Int,
        _ inbox: any ConsensusInbox,
        _ take: @ReactorActor ([PlacedTransaction]) throws -> Void
    ) async throws(ProtocolsError) {
        try await exchange(host, peer, ids) { stream in
            var request = ByteWriter()
            request.put(bytes: block)
            request.put(cbytes: wanted.bytes)
            try await stream.write(request.bytes)
            stream.closeWrite()
            stream.setTimeout(ProtocolLimits.receiveBlock)
            try await stream.readPlaced(wanted, limit: limit, inbox, take)
        }
    }
}
