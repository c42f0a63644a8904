import Bytes
import Crypto

/// A member of the validator set (docs/wire.md, sections 4 and 5).
public struct Validator: Hashable, Sendable {
    /// What it votes with.
    public let key: PublicKey
    /// At least 1; 0 in an update removes the validator.
    public let power: Int64

    /// A validator by its parts.
    public init(key: PublicKey, power: Int64) {
        self.key = key
        self.power = power
    }

    /// Its account.
    public var account: AccountID { AccountID(key) }

    /// Decodes u16 version, bytes32 account ID, i64 power; refuses trailing bytes.
    public init(decoding bytes: SharedBytes) throws(ChainError) {
        self = try decodeWhole("validator", bytes) { reader throws(BytesError) in
            try Validator(from: &reader)
        }
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        var inner = ByteReader(try reader.bytes32())
        let account = try AccountID(from: &inner)
        try inner.finish()
        key = try decodedKey(account.keyType, account.identifier)
        power = try reader.i64()
        guard power >= 0 else { throw .invalid("a power") }
    }

    /// u16 version, bytes32 account ID, i64 power.
    public var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.put(u16: 0)
        writer.put(bytes32: account.bytes)
        writer.put(i64: power)
        return writer.bytes
    }
}
