import Bytes
import Chain
import LibP2P
import Multiformats
import Reactor

/// `/kwil/blkack/1.0.0`: a validator's answer to a proposal, sent to the leader (docs/wire.md, section 7).
@ReactorActor
public struct AcknowledgementProtocol {
    static let prefix = Array("ack:".utf8)

    private let inbox: any ConsensusInbox

    /// Hands to `inbox`.
    public init(_ inbox: any ConsensusInbox) { self.inbox = inbox }

    /// Takes one answer. The text dialect's is unsigned and refused.
    public func serve(_ stream: Stream) async {
        await Protocols.serve(stream) {
            let bytes = try await stream.readToEnd(limit: ChainLimits.acknowledgementBytes)
            guard !bytes.starts(with: Self.prefix) else { throw ProtocolsError.malformed("unsigned answer") }
            try await inbox.acknowledged(AckRes(decoding: SharedBytes(bytes)), from: stream.remotePeer)
        }
    }

    /// Sends an answer to a peer, usually the leader.
    public static func send(_ answer: AckRes, to peer: PeerID, on host: Host) async throws(ProtocolsError) {
        try await exchange(host, peer, [KwilProtocol.acknowledgement]) { stream in
            try await stream.write(answer.bytes)
            stream.closeWrite()
            // The peer's end says that it has read everything; nothing may come before it.
            guard try await stream.read(upTo: 1).isEmpty else {
                throw ProtocolsError.malformed("answer's answer")
            }
        }
    }
}
