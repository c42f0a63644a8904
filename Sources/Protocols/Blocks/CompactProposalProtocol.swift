import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// `/apus/blkprop/1.0.0`: a proposed block as short IDs, after BIP 152; the receiver requests the transactions that it lacks
/// (docs/wire.md, section 8).
@ReactorActor
public struct CompactProposalProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/apus/blkprop/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "blocks"
    /// See `StreamProtocol.priority`.
    public nonisolated static let priority = StreamPriority.high

    /// What a receiver requests after the message.
    enum Request: UInt8 {
        /// The transactions of the bitmap that follows.
        case transactions = 1
        /// The whole block.
        case block = 2
    }

    private let inbox: any ConsensusInbox

    /// Hands proposals to `inbox`.
    public init(_ inbox: any ConsensusInbox) { self.inbox = inbox }

    /// Takes one announcement. Nothing after the header is read before `inbox` has checked the leader's signature.
    public func serve(_ stream: Stream) async throws {
        let proposal = try await BlockProposalProtocol.read(stream)
        let flag = try await stream.readExactly(1)
        guard flag == [0] || flag == [1] else { throw ProtocolsError.malformed("compact proposal") }
        let header = try BlockHeader(
            decoding: try await stream.readCBytes(limit: ProtocolLimits.headerBytes))
        guard header.hash == proposal.hash, header.height == proposal.height,
            header.previousHash == proposal.previousHash
        else { throw ProtocolsError.forged("a header that is not the proposed block's") }
        let offer = CompactOffer(
            stream: stream, proposal: proposal, header: header, isPushed: flag == [1], inbox: inbox)
        try await inbox.proposed(proposal, offer)
    }

    /// Announces a proposed block to a peer and sends what the peer requests. The short IDs follow unasked if `isPushed`,
    /// otherwise on request, and with them the transactions of the places that `lacking` then names, as far as they fit.
    public static func announce(
        _ proposal: BlockProposal, _ block: CompactBlock, isPushed: Bool, to peer: PeerID, on host: Host,
        lacking: @ReactorActor () -> [Int]
    ) async throws(ProtocolsError) {
        try await exchange(host, peer, ids) { stream in
            try await stream.write(block.head(proposal, isPushed: isPushed))
            if !isPushed, try await !stream.isRequested() { return }
            stream.setTimeout(ProtocolLimits.sendBlock)
            try await stream.write(block.shortIDs.bytes)
            try await stream.write(block.prefilled(lacking()))
            try await answer(stream, block)
        }
    }

    /// Answers at most one request for transactions and then at most one for the block, until the peer closes the stream.
    private static func answer(_ stream: Stream, _ block: CompactBlock) async throws {
        var request = try await stream.read(upTo: 1)
        if request == [Request.transactions.rawValue] {
            let count = CompactBlock.requestBytes(block.transactionIDs.count)
            let ranges = try block.ranges(try await stream.readExactly(count))
            var length = ByteWriter(capacity: 4)
            length.put(u32: UInt32(clamping: ranges.reduce(0) { $0 + $1.count }))
            try await stream.write(length.bytes)
            try await send(ranges, of: block.block.bytes, on: stream)
            request = try await stream.read(upTo: 1)
        }
        guard !request.isEmpty else { return }
        guard request == [Request.block.rawValue] else { throw ProtocolsError.malformed("request") }
        try await stream.write(block.block.bytes)
    }

    /// Sends ranges of a block. Short ones are copied, to be encrypted together.
    private static func send(_ ranges: [Range<Int>], of block: SharedBytes, on stream: Stream) async throws {
        var short = ByteWriter()
        for range in ranges {
            let isShort = range.count < ProtocolLimits.gatheredBytes
            if isShort { short.put(bytes: block.slice(range)) }
            if short.bytes.count >= ProtocolLimits.gatheredBytes || (!isShort && !short.bytes.isEmpty) {
                try await stream.write(short.bytes)
                short = ByteWriter()
            }
            if !isShort { try await stream.write(block.slice(range)) }
        }
        if !short.bytes.isEmpty { try await stream.write(short.bytes) }
    }
}
