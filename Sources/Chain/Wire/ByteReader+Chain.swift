import Bytes
import Crypto

/// The primitives of docs/wire.md, section 1, that `ByteReader` lacks.
extension ByteReader {
    package mutating func hash() throws(BytesError) -> Hash {
        guard let hash = try? Hash(self.bytes(32)) else { throw .truncated }
        return hash
    }

    /// Reads a height: eight bytes, not negative.
    mutating func height() throws(BytesError) -> Int64 {
        let height = try i64()
        guard height >= 0 else { throw .invalid("a height") }
        return height
    }

    /// Reads a uvarint length and checks that as many bytes remain.
    mutating func length() throws(BytesError) -> Int {
        guard let count = Int(exactly: try uvarint()), count <= remaining else { throw .truncated }
        return count
    }

    /// Reads a uvarint length and as many bytes.
    mutating func lengthPrefixed() throws(BytesError) -> SharedBytes {
        try bytes(length())
    }

    /// Reads a cstring of at most `limit` bytes.
    mutating func cstring(limit: Int) throws(BytesError) -> String {
        let count = try length()
        guard count <= limit else { throw .tooLarge(count, limit: limit) }
        return try text(count)
    }

    /// Reads cbytes that must not be nil, which the length -1 means.
    mutating func cbytes() throws(BytesError) -> SharedBytes {
        let count = try varint()
        if count == -1 { throw .invalid("bytes, but nil") }
        guard count >= 0 else { throw .invalid("a length") }
        return try bytes(Int(clamping: count))
    }

    /// Reads bytes32 that must not be nil.
    package mutating func bytes32(limit: Int = .max) throws(BytesError) -> SharedBytes {
        let count = try count32("bytes")
        guard count <= limit else { throw .tooLarge(count, limit: limit) }
        return try bytes(count)
    }

    package mutating func string32() throws(BytesError) -> String { try text(count32("a text")) }

    private mutating func count32(_ what: String) throws(BytesError) -> Int {
        let count = try u32()
        guard count != .max else { throw .invalid("\(what), but nil") }
        guard let count = Int(exactly: count), count <= remaining else { throw .truncated }
        return count
    }

    /// Reads `count` values of at least `least` bytes each. A count that the bytes left cannot hold reserves no
    /// memory.
    package mutating func list<T>(
        _ count: some BinaryInteger, least: Int, _ read: (inout ByteReader) throws(BytesError) -> T
    ) throws(BytesError) -> [T] {
        guard let count = Int(exactly: count), count <= remaining / least else { throw .truncated }
        var values: [T] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try read(&self)) }
        return values
    }

    /// Reads a bigint; nil for the byte 0x00.
    mutating func bigint() throws(BytesError) -> Amount? {
        switch try u8() {
        case 0: return nil
        case 1:
            let text = try cstring(limit: ChainLimits.amountDigits + 1)
            guard let amount = Amount(text) else { throw .invalid("an amount") }
            return amount
        default: throw .invalid("an amount")
        }
    }

    /// Reads a byte that must be 0 or 1.
    package mutating func flag() throws(BytesError) -> Bool {
        switch try u8() {
        case 0: return false
        case 1: return true
        default: throw .invalid("a flag of 0 or 1")
        }
    }

    /// Reads a u16 that must be 0, the only version of every format.
    mutating func version() throws(BytesError) {
        guard try u16() == 0 else { throw .invalid("a known version") }
    }

    /// Reads a key type's wire flag.
    mutating func keyType() throws(BytesError) -> KeyType {
        guard let type = KeyType(rawValue: try u32()) else { throw .invalid("a key type") }
        return type
    }
}

/// Creates a public key from its type and bytes.
func decodedKey(_ type: KeyType, _ bytes: [UInt8]) throws(BytesError) -> PublicKey {
    guard let key = try? PublicKey(type: type, bytes: bytes) else { throw .invalid("a public key") }
    return key
}

/// Creates a public key from its wire form.
func decodedKey(wire bytes: [UInt8]) throws(BytesError) -> PublicKey {
    guard let key = try? PublicKey(wire: bytes) else { throw .invalid("a public key") }
    return key
}
