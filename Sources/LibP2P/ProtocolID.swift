import Bytes

/// The name of a protocol that is spoken on a stream or negotiated for a connection, such as `/ipfs/ping/1.0.0`.
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

    /// Whether both have the same bytes.
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
    /// Tells a peer what the host is, where it listens and what it speaks.
    public static let identify: ProtocolID = "/ipfs/id/1.0.0"
    /// Tells a peer that what identify said has changed.
    public static let identifyPush: ProtocolID = "/ipfs/id/push/1.0.0"
    /// Echo of 32 bytes.
    public static let ping: ProtocolID = "/ipfs/ping/1.0.0"
    /// Throughput measurement.
    public static let perf: ProtocolID = "/perf/1.0.0"
    /// Gossipsub without IDONTWANT.
    public static let meshsub11: ProtocolID = "/meshsub/1.1.0"
    /// Gossipsub with IDONTWANT.
    public static let meshsub12: ProtocolID = "/meshsub/1.2.0"
    /// Gossipsub's predecessor, which sends every message to every subscriber.
    public static let floodsub: ProtocolID = "/floodsub/1.0.0"
}
