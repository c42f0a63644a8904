import Bytes
import Crypto

/// The primitives of docs/wire.md, section 1, that `ByteWriter` lacks.
extension ByteWriter {
    mutating func put(hash: Hash) {
        put(bytes: hash)
    }

    /// Appends a uvarint length and the bytes.
    mutating func put(lengthPrefixed data: some ByteSource) {
        let count = data.withUnsafeBytes { $0.count }
        put(uvarint: UInt64(count))
        put(bytes: data)
    }

    mutating func put(cstring text: String) {
        put(uvarint: UInt64(text.utf8.count))
        put(text: text)
    }

    /// Appends a varint with the length, and the bytes.
    public mutating func put(cbytes data: some ByteSource) {
        let count = data.withUnsafeBytes { $0.count }
        put(varint: Int64(count))
        put(bytes: data)
    }

    /// Appends bytes32. All encoded values are bounded far below 4 GiB.
    package mutating func put(bytes32 data: some ByteSource) {
        let count = data.withUnsafeBytes { $0.count }
        put(u32: UInt32(clamping: count))
        put(bytes: data)
    }

    package mutating func put(string32 text: String) {
        put(u32: UInt32(clamping: text.utf8.count))
        put(text: text)
    }

    mutating func put(bigint amount: Amount?) {
        guard let amount else { return put(u8: 0) }
        put(u8: 1)
        put(cstring: amount.description)
    }
}
