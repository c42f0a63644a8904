import Bytes
import Crypto

/// The primitives of docs/wire.md, section 1, that the general writer lacks.
extension ByteWriter {
    /// 32 bytes.
    mutating func put(hash: Hash) {
        put(bytes: hash)
    }

    /// uvarint length and the bytes.
    mutating func put(lengthPrefixed data: some ByteSource) {
        let count = data.withUnsafeBytes { $0.count }
        put(uvarint: UInt64(count))
        put(bytes: data)
    }

    /// uvarint length and UTF-8 bytes.
    mutating func put(cstring text: String) {
        put(uvarint: UInt64(text.utf8.count))
        put(text: text)
    }

    /// Signed varint length and the bytes.
    mutating func put(cbytes data: some ByteSource) {
        let count = data.withUnsafeBytes { $0.count }
        put(varint: Int64(count))
        put(bytes: data)
    }

    /// u32 length and the bytes. What is encoded here was bounded long before 4 GiB.
    mutating func put(bytes32 data: some ByteSource) {
        let count = data.withUnsafeBytes { $0.count }
        put(u32: UInt32(clamping: count))
        put(bytes: data)
    }

    /// u32 length and UTF-8 bytes.
    mutating func put(string32 text: String) {
        put(u32: UInt32(clamping: text.utf8.count))
        put(text: text)
    }

    /// 0x00 for nil; else 0x01 and the decimal as cstring.
    mutating func put(bigint amount: Amount?) {
        guard let amount else { return put(u8: 0) }
        put(u8: 1)
        put(cstring: amount.description)
    }
}
