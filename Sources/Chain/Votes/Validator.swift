import Bytes
import Crypto

/// A member of the validator set (docs/wire.md, sections 4 and 5).
public struct Validator: Hashable, Sendable, WireDecodable {
    /// The key that signs its votes.
    public let key: PublicKey
    /// The voting power, at least 1; 0 in an update removes the validator.
    public let power: Int64

    /// Creates a validator from its parts.
    public init(key: PublicKey, power: Int64) {
        self.key = key
        self.power = power
    }

    /// The validator's account.
    public var account: AccountID { AccountID(key) }

    package static let kind = "validator"

    package init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        let account = try AccountID(whole: reader.bytes32())
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
