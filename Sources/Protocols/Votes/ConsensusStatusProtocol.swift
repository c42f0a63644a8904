import Bytes
import Chain
import LibP2P
import Multiformats
import Reactor

/// `/apus/constatus/1.0.0`: the consensus status of a height (docs/wire.md, section 8).
@ReactorActor
public struct ConsensusStatusProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/apus/constatus/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "consensus"
    /// See `StreamProtocol.priority`.
    public nonisolated static let priority = StreamPriority.high

    private let source: any ConsensusStatusSource

    /// Answers from `source`.
    public init(_ source: any ConsensusStatusSource) { self.source = source }

    /// Answers one request.
    public func serve(_ stream: Stream) async throws {
        let height = try await stream.readInt64()
        guard height >= 0 else { throw ProtocolsError.malformed("height") }
        try await stream.write(try await source.status(of: height).bytes)
    }

    /// Requests a peer's status. No signature in it is checked.
    public static func request(
        _ height: Int64, from peer: PeerID, on host: Host, sizes: BlockSizes
    ) async throws(ProtocolsError) -> ConsensusStatus {
        try await exchange(host, peer, ids) { stream in
            var request = ByteWriter()
            request.put(i64: height)
            try await stream.write(request.bytes)
            stream.closeWrite()
            return try ConsensusStatus(
                decoding: try await stream.readRest(limit: ConsensusStatus.maxBytes(sizes)))
        }
    }
}
