import Bytes

/// The name of a protocol spoken on a stream or negotiated for a connection, such as `/ipfs/ping/1.0.0`.
///
/// libp2p connections specification, "Protocol IDs": an identifier is any UTF-8 text, compared byte for byte.
public struct ProtocolID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The identifier's text.
    public let rawValue: String

    /// The identifier with this text.
    public init(_ rawValue: String) {
        self.rawValue = rawValue
    }

    /// The identifier's text.
    public var description: String { rawValue }

    /// Compares identifiers byte for byte.
    public static func == (left: ProtocolID, right: ProtocolID) -> Bool {
        RawText(left.rawValue) == RawText(right.rawValue)
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) { RawText(rawValue).hash(into: &hasher) }

    /// Orders identifiers by their bytes.
    public static func < (left: ProtocolID, right: ProtocolID) -> Bool {
        RawText(left.rawValue) < RawText(right.rawValue)
    }
}

extension ProtocolID: ExpressibleByStringLiteral {
    /// The identifier with this text.
    public init(stringLiteral value: String) {
        self.init(value)
    }
}

extension ProtocolID {
    /// Noise_XX_25519_ChaChaPoly_SHA256 with libp2p's identity payload.
    public static let noise: ProtocolID = "/noise"
    /// Noise followed by kwil-db's exchange of chain IDs (docs/wire.md, section 6).
    public static let noiseChainID: ProtocolID = "/noise-chainID"
    /// Exchange of public keys without encryption or proof; for trusted links only.
    public static let plaintext: ProtocolID = "/plaintext/2.0.0"
    /// The stream multiplexer.
    public static let yamux: ProtocolID = "/yamux/1.0.0"
}
