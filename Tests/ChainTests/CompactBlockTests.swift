import Bytes
import Collections
import Crypto
import TestSupport
import Testing

@testable import Chain

/// The compact form of a block, and putting a block together from it.
@Suite struct CompactBlockTests {
    /// A block of four transactions, made of repeated bytes.
    private static func block() throws -> HashedBlock {
        func hash(_ byte: UInt8) throws -> Hash { try Hash([UInt8](repeating: byte, count: 32)) }
        let transactions = [(1, 10), (2, 200), (3, 6), (4, 40)].map {
            SharedBytes([UInt8](repeating: $0, count: $1))
        }
        let ids = transactions.map { Hash.sha256(of: $0) }
        let header = BlockHeader(
            height: 7, transactionCount: 4, previousHash: try hash(1), previousAppHash: try hash(2),
            validatorSetHash: try hash(3), networkParametersHash: try hash(4), timestamp: 1_700_000_000_000,
            merkleRoot: MerkleTree.root(of: ids))
        return try HashedBlock(
            hashing: Block(
                header: header, signature: [UInt8](repeating: 5, count: 64), transactions: transactions))
    }

    private static func hex(_ bytes: some ByteSource) -> String { Hex.encode(bytes) }

    /// The vectors were computed by an independent program from docs/wire.md.
    @Test func theFormIsThatOfTheSpecification() throws {
        let hashed = try Self.block()
        let compact = CompactBlock(hashed)
        #expect(
            hashed.block.hash.description
                == "ce693d4b8c90b15069d469e8a5d06c8bf4a2ddf5b51956dd50782e52704a07b2")
        #expect(
            Self.hex(compact.shortIDs.bytes) == "99debc818816f49fe5cca420afb0c47289abbf83e8e0cde2")
        let proposal = BlockProposal(
            height: 7, hash: hashed.block.hash, previousHash: hashed.block.header.previousHash,
            stamp: 1_700_000_000_001, leaderSignature: hashed.block.signature,
            senderKey: SharedBytes([UInt8](repeating: 6, count: 32)))
        let head = compact.head(proposal, isPushed: true)
        #expect(head.count == 378)
        #expect(
            Hash.sha256(of: head).description
                == "a34a68cb76d282d615e8b5d8b82cde2e4b1721485db462cd674f60edf661c62e")
        #expect(zip(head, compact.head(proposal, isPushed: false)).count { $0 != $1 } == 1)
        #expect(
            Self.hex(compact.prefilled([0, 2])) == "14000000000a010101010101010101010106030303030303")
        #expect(compact.prefilled([]) == [0, 0, 0, 0])
        #expect(compact.size(of: try PlaceSet(decoding: [0b1010], capacity: 4)) == 240)
        #expect(
            Hash.sha256(of: hashed.block.bytes).description
                == "32e0865c9213e965798b67a281cf97ac74ab0f3fd3c2b23c78b1092ab1e0b394")
    }

    @Test func whatDoesNotFitIsNotPrefilled() throws {
        let chain = try TestChain(1, payload: 40_000, transactions: { _ in 3 })
        let compact = CompactBlock(chain.links[0].hashed)
        let section = compact.prefilled([2])
        #expect(section.count > 40_000)
        #expect(section.count <= 4 + CompactBlock.prefilledBytes)
        let assembly = try Self.assembly(compact, prefilled: Array(section.dropFirst(4)))
        #expect(assembly.missingPlaces.places == [0, 1])
        // Of two the peer would have to request one anyway.
        #expect(compact.prefilled(1..<3) == [0, 0, 0, 0])
    }

    // MARK: Assembly

    private static func assembly(
        _ compact: CompactBlock, shortIDs: ShortIDs? = nil, prefilled: [UInt8] = []
    ) throws -> BlockAssembly {
        try BlockAssembly(
            compact.block.header, signature: compact.block.signature, shortIDs: shortIDs ?? compact.shortIDs,
            prefilled: SharedBytes(prefilled))
    }

    @Test func aBlockIsTheSameWhereverItsTransactionsComeFrom() throws {
        var random = SeededGenerator(seed: 152)
        for count in [0, 1, 2, 7, 8, 9, 300] {
            let link = try TestChain(1, transactions: { _ in count }).links[0]
            let compact = CompactBlock(link.hashed)
            #expect(compact.shortIDs.fit(link.hashed.transactionIDs))
            for _ in 0..<4 {
                let origins = (0..<count).map { _ in Int.random(in: 0..<3, using: &random) }
                let sent = compact.prefilled(origins.indices.filter { origins[$0] == 0 }).dropFirst(4)
                var assembly = try Self.assembly(compact, prefilled: Array(sent))
                for place in origins.indices.shuffled(using: &random) where origins[place] == 1 {
                    assembly.offer(try link.hashed.transaction(at: place))
                }
                #expect(assembly.missing == origins.count { $0 == 2 })
                if assembly.missing > 0 {
                    #expect(throws: ChainError.wrongTransactions(link.block.hash)) { try assembly.block() }
                    for place in assembly.missingPlaces.places.shuffled(using: &random) {
                        let sent = PlacedTransaction(link.block.transactions[place], at: place)
                        #expect(try assembly.take(sent))
                        #expect(try !assembly.take(sent))
                    }
                }
                #expect(assembly.bytes == link.block.bytes.count)
                let made = try assembly.block()
                #expect(made.block == link.block)
                #expect(made.transactionIDs == link.hashed.transactionIDs)
            }
        }
    }

    /// As if a transaction of the node had the short ID of another one in the block.
    @Test func aCollisionIsDetected() throws {
        let chain = try TestChain(2, transactions: { _ in 5 })
        let (link, other) = (chain.links[0], chain.links[1])
        let compact = CompactBlock(link.hashed)
        var ids = link.hashed.transactionIDs
        ids[3] = other.hashed.transactionIDs[0]
        let shortIDs = ShortIDs(of: ids, in: link.block.hash)
        #expect(!shortIDs.fit(link.hashed.transactionIDs))
        var assembly = try Self.assembly(compact, shortIDs: shortIDs)
        assembly.offer(try other.hashed.transaction(at: 0))
        for place in [0, 1, 2, 4] { assembly.offer(try link.hashed.transaction(at: place)) }
        #expect(assembly.missing == 0)
        #expect(throws: ChainError.wrongTransactions(link.block.hash)) { try assembly.block() }
    }

    @Test func ofTwoAlikeNoneIsTaken() throws {
        let link = try TestChain(1, transactions: { _ in 3 }).links[0]
        let compact = CompactBlock(link.hashed)
        let transaction = try link.hashed.transaction(at: 1)
        var assembly = try Self.assembly(compact)
        for _ in 0..<3 { assembly.offer(transaction) }
        #expect(assembly.missing == 3)
        // Two places with one short ID.
        var ids = link.hashed.transactionIDs
        ids[0] = ids[1]
        assembly = try Self.assembly(compact, shortIDs: ShortIDs(of: ids, in: link.block.hash))
        assembly.offer(transaction)
        #expect(assembly.missingPlaces.places == [0, 1, 2])
    }

    // MARK: Hostile input

    @Test func otherTransactionsThanListedAreProof() throws {
        let link = try TestChain(1, transactions: { _ in 3 }).links[0]
        let compact = CompactBlock(link.hashed)
        let id = link.hashed.transactionIDs[2]
        var lie = ByteWriter()
        lie.put(u8: 0)
        lie.put(lengthPrefixed: link.block.transactions[2])
        #expect(throws: ChainError.notAsListed(id)) { try Self.assembly(compact, prefilled: lie.bytes) }
        var assembly = try Self.assembly(compact)
        let placed = PlacedTransaction(link.block.transactions[2], at: 0)
        #expect(throws: ChainError.notAsListed(id)) { try assembly.take(placed) }
        #expect(assembly.missing == 3)
        for place in [-1, 3, Int.max] {
            let outside = PlacedTransaction(link.block.transactions[2], at: place)
            #expect(throws: ChainError.self) { try assembly.take(outside) }
        }
    }

    @Test func malformedPartsAreRefused() throws {
        let link = try TestChain(1, transactions: { _ in 3 }).links[0]
        let compact = CompactBlock(link.hashed)
        let section = Array(compact.prefilled([0, 1, 2]).dropFirst(4))
        for count in 1..<section.count {
            if let assembly = try? Self.assembly(compact, prefilled: Array(section.prefix(count))) {
                // Cut between two transactions.
                #expect((1...2).contains(assembly.missing))
            }
        }
        let places: [UInt64] = [3, 4, UInt64(Int.max), .max]
        for place in places {
            var writer = ByteWriter()
            writer.put(uvarint: place)
            writer.put(lengthPrefixed: link.block.transactions[0])
            #expect(throws: ChainError.self) { try Self.assembly(compact, prefilled: writer.bytes) }
            #expect(throws: ChainError.self) { try Self.assembly(compact, prefilled: section + writer.bytes) }
        }
    }
}
