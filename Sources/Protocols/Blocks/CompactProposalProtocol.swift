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
        /// The transactions of the round and the bitmap that follow.
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
    /// otherwise on request, and with them the transactions of the places that `lacking` then names, if they fit. Of much the peer
    /// gets only its share if it is one of the keepers of `shares`: the one with the place `receiver` in the validator set.
    public static func announce(
        _ proposal: BlockProposal, _ block: CompactBlock, isPushed: Bool, to peer: PeerID, on host: Host,
        shares: BlockShares? = nil, receiver: Int? = nil, lacking: @ReactorActor () -> [Int]
    ) async throws(ProtocolsError) {
        try await exchange(host, peer, ids) { stream in
            try await stream.write(block.head(proposal, isPushed: isPushed))
            if !isPushed, try await !stream.isRequested() { return }
            stream.setTimeout(ProtocolLimits.sendBlock)
            try await stream.write(block.shortIDs.bytes)
            try await stream.write(block.prefilled(lacking()))
            try await answer(stream, block, shares, receiver)
        }
    }

    /// Answers requests for transactions, at most one for each round and one for the rest, and at most one for the block, until
    /// the peer closes the stream.
    private static func answer(
        _ stream: Stream, _ block: CompactBlock, _ shares: BlockShares?, _ receiver: Int?
    ) async throws {
        var answered: Set<UInt8> = []
        while let request = try await stream.read(upTo: 1).first {
            guard let request = Request(rawValue: request) else { throw ProtocolsError.malformed("request") }
            if request == .block { return try await stream.write(block.block.bytes) }
            let (round, count) = (try await stream.readExactly(1)[0], block.transactionIDs.count)
            let wanted = try PlaceSet(
                decoding: try await stream.readExactly(PlaceSet.size(of: count)), capacity: count)
            guard round <= BlockShares.rounds, answered.insert(round).inserted, !wanted.isEmpty else {
                throw ProtocolsError.malformed("request")
            }
            if let shares, let receiver, round > 0,
                block.size(of: wanted) * shares.keepers.count > BlockShares.directBytes
            {
                let share = shares.share(of: receiver, round: Int(round), in: wanted)
                try await send(share, of: block, shares.validators.bytes, on: stream)
            } else {
                try await send(wanted, of: block, [], on: stream)
            }
        }
    }

    /// Sends the keepers as a bitmap, and transactions.
    private static func send(
        _ places: PlaceSet, of block: CompactBlock, _ keepers: [UInt8], on stream: Stream
    ) async throws {
        var head = ByteWriter()
        head.put(cbytes: keepers)
        try await stream.write(head.bytes)
        var writer = PlacedTransactionWriter(stream)
        for place in places.places { try await writer.write(block.block.transactions[place], at: place) }
        try await writer.end()
    }
}
