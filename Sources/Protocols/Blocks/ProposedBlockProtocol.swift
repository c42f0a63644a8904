import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// `/apus/proposed/1.0.0`: a proposed block, outside its announcement (docs/wire.md, section 8).
@ReactorActor
public struct ProposedBlockProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/apus/proposed/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "blocks"
    /// See `StreamProtocol.priority`.
    public nonisolated static let priority = StreamPriority.high

    private let source: any ConsensusStatusSource

    /// Serves from `source`.
    public init(_ source: any ConsensusStatusSource) { self.source = source }

    /// Answers one request.
    public func serve(_ stream: Stream) async throws {
        let height = try await stream.readInt64()
        let hash = try await stream.readHash()
        guard let block = await source.proposedBlock(height: height, hash: hash) else {
            return try await stream.write([0])
        }
        stream.setTimeout(ProtocolLimits.sendBlock)
        try await stream.write([1])
        try await stream.write(block)
    }

    /// Requests a proposed block from a peer; nil when it has none. The block has the requested height and hash; its signature
    /// is not checked. Throws `tooLarge` once more than a block of `sizes` has come.
    public static func request(
        height: Int64, hash: Hash, from peer: PeerID, on host: Host, sizes: BlockSizes
    ) async throws(ProtocolsError) -> Block? {
        try await exchange(host, peer, ids) { stream in
            var request = ByteWriter()
            request.put(i64: height)
            request.put(bytes: hash)
            try await stream.write(request.bytes)
            stream.closeWrite()
            stream.setTimeout(ProtocolLimits.receiveBlock)
            switch try await stream.readExactly(1) {
            case [0]: return nil
            case [1]:
                let block = try Block(decoding: try await stream.readRest(limit: sizes.block))
                try block.check(hash, at: height)
                return block
            default: throw ProtocolsError.malformed("answer for a proposed block")
            }
        }
    }
}
