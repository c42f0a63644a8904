import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// `/kwil/blkprop/1.0.0`: the leader's announcement of a proposed block, and the block for a validator that wants
/// it (docs/wire.md, section 7).
@ReactorActor
public struct BlockProposalProtocol {
    static let prefix = Array("prop:".utf8)

    private let inbox: any ConsensusInbox

    /// Hands to `inbox`.
    public init(_ inbox: any ConsensusInbox) { self.inbox = inbox }

    /// Takes one announcement. The leader's signature is checked before the block is asked for, which happens once
    /// however many peers announce it: `inbox` sees to both. The text dialect's is unsigned and refused.
    public func serve(_ stream: Stream) async {
        await Protocols.serve(stream) {
            let proposal = try await read(stream)
            try await inbox.proposed(
                proposal,
                BlockOffer(
                    stream: stream, hash: proposal.hash, height: proposal.height,
                    previousHash: proposal.previousHash))
        }
    }

    private func read(_ stream: Stream) async throws -> BlockProposal {
        var message = try await stream.readExactly(Self.prefix.count)
        guard message != Self.prefix else { throw ProtocolsError.malformed("unsigned proposal") }
        // i64 height, hash, previous hash, i64 stamp, u64 length of the signature.
        let fixed = 8 + Hash.count + Hash.count + 8 + 8
        message += try await stream.readExactly(fixed - message.count)
        message += try await readField(stream, lengthAtEndOf: message)
        message += try await stream.readExactly(8)
        message += try await readField(stream, lengthAtEndOf: message)
        return try BlockProposal(decoding: SharedBytes(message))
    }

    /// The bytes whose u64 length ends what has been read: signature or sender's key.
    private func readField(_ stream: Stream, lengthAtEndOf message: [UInt8]) async throws -> [UInt8] {
        var reader = ByteReader(Array(message.suffix(8)))
        guard let length = Int(exactly: try reader.u64()), length <= ProtocolLimits.signatureBytes else {
            throw ProtocolsError.malformed("block proposal")
        }
        return length > 0 ? try await stream.readExactly(length) : []
    }

    /// Announces a proposed block to a peer and sends it if the peer wants it. Returns whether it did.
    @discardableResult
    public static func announce(
        _ proposal: BlockProposal, block: SharedBytes, to peer: PeerID, on host: Host
    ) async throws(ProtocolsError) -> Bool {
        try await exchange(host, peer, [KwilProtocol.blockProposal]) { stream in
            try await stream.write(proposal.bytes)
            guard try await stream.readGet() else { return false }
            stream.setTimeout(ProtocolLimits.sendBlock)
            try await stream.write(block)
            return true
        }
    }
}
