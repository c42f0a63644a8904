import Bytes
import Crypto
import Multiformats

/// A host's information about itself for its peers.
///
/// libp2p identify specification: protobuf `Identify{1 publicKey, 2 listenAddrs, 3 protocols, 4 observedAddr, 5
/// protocolVersion, 6 agentVersion, 8 signedPeerRecord}`. A signed peer record is neither sent nor read.
public struct IdentifyInfo: Equatable, Sendable {
    /// The maximum size of identify messages accepted from a peer, in bytes. Hosts with hundreds of protocols stay
    /// below.
    public static let maximumSize = 65_536
    /// The most listen addresses kept; no host needs more for itself.
    public static let maximumAddresses = 64
    /// The most protocols kept.
    public static let maximumProtocols = 512
    /// The longest version text or protocol ID kept, in bytes.
    public static let maximumText = 512

    /// The family of protocols, such as `ipfs/0.1.0`.
    public var protocolVersion: String
    /// The program and its version.
    public var agentVersion: String
    /// The host's identity; nil if the message had none.
    public var publicKey: PublicKey?
    /// The host's listen addresses, without its peer ID.
    public var listenAddresses: [Multiaddr]
    /// The receiver's address as the host sees it.
    public var observedAddress: Multiaddr?
    /// The host's protocols, in its order.
    public var protocols: [ProtocolID]

    /// Creates information from its parts.
    public init(
        protocolVersion: String = "", agentVersion: String = "", publicKey: PublicKey? = nil,
        listenAddresses: [Multiaddr] = [], observedAddress: Multiaddr? = nil, protocols: [ProtocolID] = []
    ) {
        self.protocolVersion = protocolVersion
        self.agentVersion = agentVersion
        self.publicKey = publicKey
        self.listenAddresses = listenAddresses
        self.observedAddress = observedAddress
        self.protocols = protocols
    }

    /// The message as it goes on the wire: an unsigned varint length and the protobuf.
    public var encoded: [UInt8] {
        var message = ProtobufWriter(capacity: 1_024)
        if let publicKey { message.put(1, bytes: publicKey.libp2pProtobuf) }
        for address in listenAddresses {
            message.put(2, bytes: address.withoutPeerID.bytes)
        }
        for id in protocols {
            message.put(3, text: id.rawValue)
        }
        if let observedAddress { message.put(4, bytes: observedAddress.bytes) }
        message.put(5, text: protocolVersion)
        message.put(6, text: agentVersion)
        return message.delimited
    }

    /// Decodes all that a peer has sent on a stream: one message, or several to be merged.
    ///
    /// Skips addresses of unknown transports and entries beyond the limits. Throws `malformed` unless the bytes are a
    /// sequence of messages.
    public init(decoding bytes: [UInt8]) throws(LibP2PError) {
        self.init()
        do {
            var reader = ByteReader(bytes)
            repeat {
                let length = try reader.uvarint(minimal: false)
                try merge(try reader.bytes(length))
            } while reader.remaining > 0
        } catch {
            throw .malformed("identify message")
        }
    }

    private mutating func merge(_ message: SharedBytes) throws {
        var reader = ProtobufReader(message)
        while let field = try reader.next() {
            switch field.number {
            case 1:
                publicKey = try PublicKey(libp2pProtobuf: try field.bytes.array)
            case 2:
                guard listenAddresses.count < Self.maximumAddresses else { continue }
                if let address = try? Multiaddr(bytes: try field.bytes) { listenAddresses.append(address) }
            case 3:
                let text = try field.text
                guard protocols.count < Self.maximumProtocols, text.utf8.count <= Self.maximumText else {
                    continue
                }
                protocols.append(ProtocolID(text))
            case 4:
                observedAddress = try? Multiaddr(bytes: try field.bytes)
            case 5:
                protocolVersion = try Self.text(field)
            case 6:
                agentVersion = try Self.text(field)
            default:
                break
            }
        }
    }

    private static func text(_ field: ProtobufReader.Field) throws -> String {
        let text = try field.text
        return text.utf8.count <= maximumText ? text : ""
    }
}
