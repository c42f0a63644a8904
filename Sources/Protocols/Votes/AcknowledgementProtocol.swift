import Bytes
import Chain
import LibP2P
import Multiformats
import Reactor

/// `/kwil/blkack/1.0.0`: a validator's answer to a proposal, sent to the leader (docs/wire.md, section 7).
@ReactorActor
public struct AcknowledgementProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/kwil/blkack/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "consensus"
    /// See `StreamProtocol.priority`.
    public nonisolated static let priority = StreamPriority.high
    static let prefix = Array("ack:".utf8)

    private let inbox: any ConsensusInbox

    /// Hands answers to `inbox`.
    public init(_ inbox: any ConsensusInbox) { self.inbox = inbox }

    /// Takes one answer. In the text dialect answers are unsigned, and refused.
    public func serve(_ stream: Stream) async throws {
        let bytes = try await stream.readToEnd(limit: ChainLimits.acknowledgementBytes)
        guard !bytes.starts(with: Self.prefix) else { throw ProtocolsError.malformed("unsigned answer") }
        try await inbox.acknowledged(AckRes(decoding: SharedBytes(bytes)), from: stream.remotePeer)
    }

    /// Sends an answer to a peer, usually the leader.
    public static func send(_ answer: AckRes, to peer: PeerID, on host: Host) async throws(ProtocolsError) {
        try await exchange(host, peer, ids) { try await $0.deliver(answer.bytes) }
    }
}
