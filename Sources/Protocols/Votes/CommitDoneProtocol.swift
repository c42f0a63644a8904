import Bytes
import Chain
import LibP2P
import Multiformats
import Reactor

/// `/apus/commitack/1.0.0`: a validator tells the leader, unasked, that it has committed (docs/wire.md, section 8).
@ReactorActor
public struct CommitDoneProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/apus/commitack/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "consensus"
    /// See `StreamProtocol.priority`.
    public nonisolated static let priority = StreamPriority.high

    private let source: any ConsensusStatusSource

    /// Hands messages to `source`.
    public init(_ source: any ConsensusStatusSource) { self.source = source }

    /// Takes one message.
    public func serve(_ stream: Stream) async throws {
        let bytes = try await stream.readToEnd(limit: CommitDone.maxBytes)
        try await source.committed(CommitDone(decoding: SharedBytes(bytes)), from: stream.remotePeer)
    }

    /// Tells a peer, usually the leader.
    public static func send(_ message: CommitDone, to peer: PeerID, on host: Host)
        async throws(ProtocolsError)
    {
        try await exchange(host, peer, ids) { try await $0.deliver(message.bytes) }
    }
}
