import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// A proposed block that a peer sends as short IDs, on the announcement's stream.
@ReactorActor
public struct CompactOffer {
    /// The announcement's stream.
    public let stream: Stream
    let proposal: BlockProposal
    /// The block's header, which has the proposed hash.
    let header: BlockHeader
    /// Whether the short IDs come unasked.
    let isPushed: Bool
    let inbox: any ConsensusInbox

    /// The peer that announced the block.
    public var peer: PeerID { stream.remotePeer }

    /// Reads the short IDs, requests the transactions that this node lacks, and puts the block together, of at most `limit` bytes.
    /// If its transactions are not those of the header, requests the whole block. The block has the proposed hash and height.
    /// `lie` is what the peer has done wrong even so, once that is proven.
    public func take(
        limit: Int
    ) async throws(ProtocolsError) -> (block: HashedBlock, lie: ProtocolsError?) {
        do {
            stream.setTimeout(ProtocolLimits.receiveBlock)
            if !isPushed { try await stream.write(Stream.get) }
            var assembly = try await begin(limit: limit)
            if assembly.missing > 0 { assembly = await inbox.supply(assembly) }
            let shortIDs = assembly.shortIDs
            if let block = try await complete(assembly, limit: limit) {
                stream.close()
                return (block, nil)
            }
            return try await takeWhole(shortIDs, limit: limit)
        } catch ChainError.notAsListed(let id) {
            throw .forged("transaction \(id) in the place of one with another short ID")
        } catch ChainError.malformed {
            throw .malformed("compact proposal")
        } catch {
            throw ProtocolsError(error)
        }
    }

    private func begin(limit: Int) async throws -> BlockAssembly {
        let count = Int(header.transactionCount)
        guard count <= limit / ChainLimits.leastTransactionBytes else {
            throw ProtocolsError.wrongContent("a header that counts more transactions than fit into a block")
        }
        let shortIDs = ShortIDs(try await stream.readShared(count * ShortIDs.size), in: proposal.hash)
        let length = try await readLength()
        guard length <= CompactBlock.prefilledBytes else {
            throw ProtocolsError.malformed("compact proposal")
        }
        let prefilled = try await stream.readShared(length)
        let (header, signature) = (header, proposal.leaderSignature)
        return try await inbox.compute {
            try BlockAssembly(header, signature: signature, shortIDs: shortIDs, prefilled: prefilled)
        }
    }

    /// Requests what is missing. Returns nil if these are not the header's transactions: this node may have some with the short
    /// IDs of others.
    private func complete(_ assembly: BlockAssembly, limit: Int) async throws -> HashedBlock? {
        guard assembly.bytes <= limit else { return nil }
        guard assembly.missing > 0 else { return try await make(assembly) }
        let block = ArrivingBlock(assembly, proposal.hash, height: proposal.height)
        inbox.arrivingBlocks.add(block)
        do {
            try await collect(block, limit: limit - assembly.bytes)
            // Another peer may have sent the whole block meanwhile.
            guard let assembly = block.assembly else { return block.whole }
            guard assembly.bytes <= limit else {
                throw ProtocolsError.wrongContent("more transactions than fit into a block")
            }
            if let made = try await make(assembly) { return made }
        } catch {
            block.end()
            throw error
        }
        block.end()
        return nil
    }

    /// Returns nil if the transactions are not the header's.
    private func make(_ assembly: BlockAssembly) async throws -> HashedBlock? {
        try await inbox.compute {
            do {
                return try assembly.block()
            } catch ChainError.wrongTransactions {
                return nil
            }
        }
    }

    /// Requests the whole block, which shows whether the short IDs were wrong.
    private func takeWhole(
        _ shortIDs: ShortIDs, limit: Int
    ) async throws -> (block: HashedBlock, lie: ProtocolsError?) {
        try await stream.write([CompactProposalProtocol.Request.block.rawValue])
        let bytes = try await stream.readRest(limit: limit)
        stream.close()
        let proposal = proposal
        return try await inbox.compute {
            let block = try Block(decoding: bytes)
            try block.check(proposal.hash, at: proposal.height)
            let hashed = try HashedBlock(hashing: block)
            let isHonest = shortIDs.fit(hashed.transactionIDs)
            return (
                hashed, isHonest ? nil : .forged("short IDs of transactions that the block does not have")
            )
        }
    }

    private func readLength() async throws -> Int {
        var reader = ByteReader(try await stream.readExactly(4))
        return Int(try reader.u32())
    }
}
