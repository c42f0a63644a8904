import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// `/kwil/blkprop/1.0.0`: the leader's announcement of a proposed block, and the block if the validator requests it
/// (docs/wire.md, section 7).
@ReactorActor
public struct BlockProposalProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/kwil/blkprop/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "blocks"
    /// See `StreamProtocol.priority`.
    public nonisolated static let priority = StreamPriority.high
    static let prefix = Array("prop:".utf8)

    private let inbox: any ConsensusInbox

    /// Hands proposals to `inbox`.
    public init(_ inbox: any ConsensusInbox) { self.inbox = inbox }

    /// Takes one announcement. `inbox` checks the leader's signature before it requests the block, and requests the block once
    /// however many peers announce it. In the text dialect announcements are unsigned, and refused.
    public func serve(_ stream: Stream) async throws {
        let proposal = try await Self.read(stream)
        try await inbox.proposed(
            proposal,
            BlockOffer(
                stream: stream, hash: proposal.hash, height: proposal.height,
                previousHash: proposal.previousHash))
    }

    /// Reads the message, which other protocols may continue.
    static func read(_ stream: Stream) async throws -> BlockProposal {
        var message = try await stream.readExactly(prefix.count)
        guard message != prefix else { throw ProtocolsError.malformed("unsigned proposal") }
        // i64 height, hash, previous hash, i64 stamp, u64 length of the signature.
        let fixed = 8 + Hash.count + Hash.count + 8 + 8
        message += try await stream.readExactly(fixed - message.count)
        message += try await readField(stream, lengthAtEndOf: message)
        message += try await stream.readExactly(8)
        message += try await readField(stream, lengthAtEndOf: message)
        return try BlockProposal(decoding: SharedBytes(message))
    }

    /// Reads the bytes whose length is the u64 at the end of what has been read: the signature or the sender's key.
    private static func readField(_ stream: Stream, lengthAtEndOf message: [UInt8]) async throws -> [UInt8] {
        var reader = ByteReader(Array(message.suffix(8)))
        guard let length = Int(exactly: try reader.u64()), length <= ProtocolLimits.signatureBytes else {
            throw ProtocolsError.malformed("block proposal")
        }
        return length > 0 ? try await stream.readExactly(length) : []
    }

    /// Announces a proposed block to a peer and sends it on request. Returns whether it did.
    @discardableResult
    public static func announce(
        _ proposal: BlockProposal, block: SharedBytes, to peer: PeerID, on host: Host
    ) async throws(ProtocolsError) -> Bool {
        try await exchange(host, peer, ids) { stream in
            try await stream.write(proposal.bytes)
            return try await stream.sendOnRequest(block, within: ProtocolLimits.sendBlock)
        }
    }
}
