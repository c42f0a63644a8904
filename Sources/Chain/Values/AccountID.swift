import Bytes
import Crypto

/// The owner of an account: the identifier that transactions carry as sender, and its key type (docs/wire.md,
/// section 3). Ethereum addresses are accounts of key type secp256k1 with 20 bytes.
public struct AccountID: Hashable, Comparable, Sendable, CustomStringConvertible, WireDecodable {
    /// A public key's bytes, or an Ethereum address.
    public let identifier: [UInt8]
    /// The type of key that signs for the account.
    public let keyType: KeyType

    /// Creates an account from its parts.
    public init(identifier: [UInt8], keyType: KeyType) {
        self.identifier = identifier
        self.keyType = keyType
    }

    /// Creates the account of a public key.
    public init(_ key: PublicKey) {
        self.init(identifier: key.bytes, keyType: key.type)
    }

    package static let kind = "account ID"

    package init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        identifier = try reader.bytes32(limit: ChainLimits.identifierBytes).array
        keyType = try reader.keyType()
    }

    /// u16 version, bytes32 identifier, u32 key type.
    public var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.put(u16: 0)
        writer.put(bytes32: identifier)
        writer.put(u32: keyType.rawValue)
        return writer.bytes
    }

    /// `<identifier hex>#<key type>`.
    public var description: String { "\(Hex.encode(identifier))#\(keyType.name)" }

    /// Orders by the text form, like validators.
    public static func < (left: AccountID, right: AccountID) -> Bool {
        if left.identifier != right.identifier {
            return left.identifier.lexicographicallyPrecedes(right.identifier)
        }
        return left.keyType.name < right.keyType.name
    }
}
