import Bytes
import Crypto
import Multiformats

/// A published message, signed by its author.
///
/// libp2p pubsub specification, "The Message" and "Message Signing" (StrictSign): protobuf `Message{1 from, 2 data,
/// 3 seqno, 4 topic, 5 signature, 6 key}`; the signature is over "libp2p-pubsub:" and the message without fields 5
/// and 6.
public struct GossipMessage: Sendable, Equatable {
    /// The identity of a message: the author's peer ID followed by the sequence number.
    public typealias ID = [UInt8]

    /// The author's peer ID.
    public let author: PeerID
    /// The author's number for the message.
    public let sequence: UInt64
    /// The topic.
    public let topic: RawText
    /// The content.
    public let data: SharedBytes
    /// The message's ID.
    public let id: ID
    /// The message as on the wire. It is forwarded byte for byte.
    public let encoded: SharedBytes
    private let hasData: Bool
    private let signature: SharedBytes
    private let key: SharedBytes?

    private static func id(_ author: PeerID, _ sequence: UInt64) -> ID {
        var id = author.bytes
        withUnsafeBytes(of: sequence.bigEndian) { id.append(contentsOf: $0) }
        return id
    }

    /// Creates a message, signed with its author's key.
    public init(topic: RawText, data: [UInt8], sequence: UInt64, author: PrivateKey) {
        let peer = author.publicKey.peerID
        var writer = Self.unsigned(author: peer, data: SharedBytes(data), sequence: sequence, topic: topic)
        let signature = author.signHandshake(Self.signedBytes(writer))
        let key = author.publicKey.libp2pProtobuf
        writer.put(5, bytes: signature)
        writer.put(6, bytes: key)
        self.author = peer
        self.sequence = sequence
        id = Self.id(peer, sequence)
        self.topic = topic
        self.data = SharedBytes(data)
        hasData = true
        encoded = SharedBytes(writer.bytes)
        self.signature = SharedBytes(signature)
        self.key = SharedBytes(key)
    }

    /// Decodes a message from the wire without verifying its signature. It shares memory with `encoded`.
    ///
    /// Throws `malformed` unless it has an author, a sequence number, one topic and a signature, and no unknown field:
    /// anyone could add what the signature does not cover.
    init(decoding encoded: SharedBytes) throws(LibP2PError) {
        var author: PeerID?
        var sequence: UInt64?
        var topic: RawText?
        var data: SharedBytes?
        var signature: SharedBytes?
        var key: SharedBytes?
        var known: Set<UInt32> = []
        do {
            var reader = ProtobufReader(encoded)
            while let field = try reader.next() {
                guard known.insert(field.number).inserted else {
                    throw LibP2PError.malformed("gossip message")
                }
                switch field.number {
                case 1: author = try PeerID(bytes: try field.bytes.array)
                case 2: data = try field.bytes
                case 3:
                    var number = ByteReader(try field.bytes)
                    sequence = try number.u64BE()
                    try number.finish()
                case 4: topic = RawText(try field.text)
                case 5: signature = try field.bytes
                case 6: key = try field.bytes
                default: throw LibP2PError.malformed("gossip message")
                }
            }
        } catch {
            throw .malformed("gossip message")
        }
        guard let author, let sequence, let topic, let signature else {
            throw .malformed("gossip message: author, sequence number, topic or signature missing")
        }
        self.author = author
        self.sequence = sequence
        id = Self.id(author, sequence)
        self.topic = topic
        self.data = data ?? SharedBytes()
        hasData = data != nil
        self.encoded = encoded
        self.signature = signature
        self.key = key
    }

    /// The same message in memory of its own, to be kept: the original may share memory with much more.
    public var copy: GossipMessage { (try? GossipMessage(decoding: SharedBytes(encoded.array))) ?? self }

    /// An RPC with only this message, as on a stream. Make it once for all receivers.
    var frame: SharedBytes {
        var field = ByteWriter(capacity: 5)
        field.put(uvarint: 2 << 3 | 2)
        field.put(uvarint: UInt64(encoded.count))
        let size = field.bytes.count + encoded.count
        var writer = ByteWriter(capacity: size + 4)
        writer.put(uvarint: UInt64(size))
        writer.put(bytes: field.bytes)
        writer.put(bytes: encoded)
        return SharedBytes(writer.bytes)
    }

    /// Whether the author's key, taken from its peer ID, has signed the message.
    public func verify() -> Bool {
        guard let own = try? PublicKey(peerID: author) else { return false }
        if let key, (try? PublicKey(libp2pProtobuf: key)) != own { return false }
        // Some implementations omit and do not sign an empty data field.
        let data = hasData ? data : nil
        let unsigned = Self.unsigned(author: author, data: data, sequence: sequence, topic: topic)
        return own.verifyHandshake(signature, of: Self.signedBytes(unsigned))
    }

    private static func unsigned(
        author: PeerID, data: SharedBytes?, sequence: UInt64, topic: RawText
    ) -> ProtobufWriter {
        var writer = ProtobufWriter(capacity: (data?.count ?? 0) + topic.utf8.count + 256)
        writer.put(1, bytes: author.bytes)
        if let data { writer.put(2, bytes: data) }
        writer.put(3, bytes: withUnsafeBytes(of: sequence.bigEndian) { Array($0) })
        writer.put(4, text: topic.string)
        return writer
    }

    private static func signedBytes(_ unsigned: ProtobufWriter) -> [UInt8] {
        Array("libp2p-pubsub:".utf8) + unsigned.bytes
    }
}
