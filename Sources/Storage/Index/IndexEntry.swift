import Bytes
import Crypto
import Glibc

/// What a run of the block index keeps of a block or transaction: its hash or ID, and its place.
struct IndexEntry: Equatable {
    var id: Hash
    var place: Place

    /// The place of a block or transaction.
    struct Place: Equatable {
        var height: Int64
        /// The transaction's index in its block; `block` for a block.
        var index: UInt32
        /// The transaction's range in the block's bytes; 0 for a block.
        var offset: UInt32
        var length: UInt32

        /// The index that stands for the block itself. A block has far fewer transactions.
        static let block = UInt32.max

        var isBlock: Bool { index == Place.block }

        var location: BlockIndex.TransactionLocation {
            BlockIndex.TransactionLocation(
                height: height, index: Int(index), offset: Int(offset), length: Int(length))
        }
    }

    /// The size in a run, in bytes.
    static let size = 52

    /// Whether this entry comes before another in a run: by ID, then by height, then by index.
    func precedes(_ other: IndexEntry) -> Bool {
        let order = id.withUnsafeBytes { one in
            other.id.withUnsafeBytes { IndexEntry.compare(one, $0) }
        }
        if order != 0 { return order < 0 }
        return (place.height, place.index) < (other.place.height, other.place.index)
    }

    /// Compares the first 32 bytes.
    static func compare(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Int {
        guard let one = one.baseAddress, let other = other.baseAddress else { return 0 }
        return Int(memcmp(one, other, Hash.count))
    }

    /// Returns the bucket, of `count`, of an ID. IDs are hashes, so buckets are about equally full; a later bucket holds
    /// greater IDs.
    static func bucket(of id: Hash, count: Int) -> Int {
        let start = id.withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) }
        return Int(start.multipliedFullWidth(by: UInt64(count)).high)
    }

    func write(to bytes: inout [UInt8]) {
        id.withUnsafeBytes { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: place.height.littleEndian) { bytes.append(contentsOf: $0) }
        for word in [place.index, place.offset, place.length] {
            withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
        }
    }

    /// Decodes the entry at the start of at least `size` bytes.
    init?(decoding bytes: UnsafeRawBufferPointer) {
        guard let id = try? Hash(UnsafeRawBufferPointer(rebasing: bytes[..<Hash.count])) else { return nil }
        self.id = id
        place = Place(
            height: Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 32, as: Int64.self)),
            index: bytes.word(40), offset: bytes.word(44), length: bytes.word(48))
    }

    init(_ id: Hash, _ place: Place) {
        self.id = id
        self.place = place
    }
}
