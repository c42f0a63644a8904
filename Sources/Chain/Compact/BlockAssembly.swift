import Bytes
import Crypto

/// A block that is put together from its header, its short IDs and transactions of any origin: those sent with the short IDs,
/// those that this node had already, and those that it has asked for (docs/wire.md, section 8).
///
/// Short IDs prove nothing: what `block` returns has been compared with the header's Merkle root. A value; use it on one thread
/// at a time.
public struct BlockAssembly: Sendable {
    /// What precedes the transactions in the block's bytes.
    private let head: SharedBytes
    private let header: BlockHeader
    private let hash: Hash
    /// The short IDs that the peer has sent.
    public let shortIDs: ShortIDs
    /// The places of short IDs that no transaction has been found for.
    private var places: [UInt64: Int32] = [:]
    private var transactions: [SharedBytes?]
    private var ids: [Hash]
    /// The number of transactions that are missing.
    public private(set) var missing: Int
    /// The size of the block with the transactions that it has so far, in bytes.
    public private(set) var bytes: Int

    /// Begins with the transactions that the peer has sent unasked. Hashes them: call it on a worker. There must be a short ID
    /// for each transaction that the header counts. Throws `malformed`, or `notAsListed` if one of these transactions has
    /// another short ID.
    public init(
        _ header: BlockHeader, signature: SharedBytes, shortIDs: ShortIDs, prefilled: SharedBytes
    ) throws(ChainError) {
        precondition(shortIDs.count == Int(header.transactionCount))
        let headerBytes = header.bytes
        var writer = ByteWriter(capacity: headerBytes.count + signature.count + 2)
        writer.put(bytes: headerBytes)
        writer.put(lengthPrefixed: signature)
        head = SharedBytes(writer.bytes)
        self.header = header
        self.shortIDs = shortIDs
        hash = header.hash
        bytes = head.count
        missing = shortIDs.count
        transactions = Array(repeating: nil, count: shortIDs.count)
        ids = Array(repeating: .zero, count: shortIDs.count)
        try fillIn(prefilled)
        list()
    }

    private mutating func fillIn(_ prefilled: SharedBytes) throws(ChainError) {
        var reader = ByteReader(prefilled)
        var next = 0
        while reader.remaining > 0 {
            let transaction: SharedBytes
            do throws(BytesError) {
                let (place, isTooLarge) = next.addingReportingOverflow(
                    Int(clamping: try reader.uvarint()))
                guard !isTooLarge, place < transactions.count else { throw .invalid("a place in the block") }
                next = place
                transaction = try reader.lengthPrefixed()
            } catch {
                throw .malformed("compact block", error)
            }
            try put(PlacedTransaction(transaction, at: next))
            next += 1
        }
    }

    /// Lists the places that are still empty. Two with the same short ID are not looked for, but asked for.
    private mutating func list() {
        var alike: Set<UInt64> = []
        places.reserveCapacity(missing)
        for place in transactions.indices where transactions[place] == nil {
            if places.updateValue(Int32(clamping: place), forKey: shortIDs[place]) != nil {
                alike.insert(shortIDs[place])
            }
        }
        for short in alike { places[short] = nil }
    }

    private mutating func put(_ placed: PlacedTransaction) throws(ChainError) {
        guard shortIDs[placed.place] == shortIDs.short(placed.id) else { throw .notAsListed(placed.id) }
        put(placed.bytes, placed.id, at: placed.place)
    }

    private mutating func put(_ transaction: SharedBytes, _ id: Hash, at place: Int) {
        transactions[place] = transaction
        ids[place] = id
        missing &-= 1
        bytes &+= CompactBlock.prefixed(transaction.count)
    }

    /// Takes a transaction that this node has, if it has the short ID of one that is missing. Of two with that short ID none is
    /// taken.
    public mutating func offer(_ transaction: Transaction) {
        let short = shortIDs.short(transaction.id)
        guard let listed = places[short] else { return }
        let place = Int(listed)
        guard let former = transactions[place] else {
            return put(transaction.bytes, transaction.id, at: place)
        }
        transactions[place] = nil
        missing &+= 1
        bytes &-= CompactBlock.prefixed(former.count)
        places[short] = nil
    }

    /// The places of the missing transactions.
    public var missingPlaces: PlaceSet {
        var places = PlaceSet(capacity: transactions.count)
        for place in transactions.indices where transactions[place] == nil { places[place] = true }
        return places
    }

    /// The number of transactions, missing or not.
    public var count: Int { transactions.count }

    /// Returns the transaction at a place, nil if it is missing or the block has no such place.
    public func transaction(at place: Int) -> SharedBytes? {
        transactions.indices.contains(place) ? transactions[place] : nil
    }

    /// Takes a transaction that a peer has sent. Returns false, changing nothing, if the place is not empty. Throws `malformed` if
    /// there is no such place, or `notAsListed` if the transaction there has another short ID.
    public mutating func take(_ placed: PlacedTransaction) throws(ChainError) -> Bool {
        guard transactions.indices.contains(placed.place) else {
            throw .malformed("transaction of a block", .invalid("a place in the block"))
        }
        guard transactions[placed.place] == nil else { return false }
        try put(placed)
        return true
    }

    /// Writes the block, of which no transaction may be missing, into one buffer. Hashes the Merkle tree: call it on a worker.
    /// Throws `wrongTransactions` if the header has another root, which the peer is not to blame for if a transaction of this
    /// node has the short ID of another one.
    public func block() throws(ChainError) -> HashedBlock {
        guard missing == 0, MerkleTree.root(of: ids) == header.merkleRoot else {
            throw .wrongTransactions(hash)
        }
        let buffer = ByteBuffer(count: bytes)
        var offset = 0
        func put(_ source: SharedBytes) {
            source.withUnsafeBytes { source in
                UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[offset...]).copyMemory(from: source)
            }
            offset += source.count
            PathMeter.copied(source.count)
        }
        func put(length: Int) {
            var rest = UInt64(length)
            while rest >= 0x80 {
                buffer.bytes[offset] = UInt8(truncatingIfNeeded: rest) | 0x80
                offset += 1
                rest &>>= 7
            }
            buffer.bytes[offset] = UInt8(truncatingIfNeeded: rest)
            offset += 1
        }
        put(head)
        for case let transaction? in transactions {
            put(length: transaction.count)
            put(transaction)
        }
        return HashedBlock(try Block(decoding: buffer.freeze(count: bytes)), ids)
    }
}
