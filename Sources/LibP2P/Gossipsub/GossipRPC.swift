import Bytes
import Multiformats

/// What two routers send each other: subscriptions, messages and control, in one protobuf.
///
/// libp2p pubsub specification, `RPC{1 subscriptions, 2 publish, 3 control}`, and gossipsub 1.0 to 1.2,
/// `ControlMessage{1 ihave, 2 iwant, 3 graft, 4 prune, 5 idontwant}`. On a stream each is preceded by its length as an
/// unsigned varint.
public struct GossipRPC: Sendable, Equatable {
    /// The longest RPC sent or taken, as other implementations have it.
    public static let maximumSize = 1 << 20
    /// The longest topic, in bytes of UTF-8.
    public static let maximumTopic = 256
    /// The most entries of any one kind taken from one RPC; a peer with more to say sends several.
    public static let maximumEntries = 5_000
    /// The longest message ID taken. This host's own are under 50 bytes; other ways to make them are hashes.
    public static let maximumID = 128

    /// The most peers taken from one PRUNE.
    public static let maximumPeers = 64

    /// A topic joined or left.
    public struct Subscription: Sendable, Equatable {
        /// Joined or left.
        public var subscribe: Bool
        /// Which topic.
        public var topic: RawText
    }

    /// Messages that the sender has.
    public struct IHave: Sendable, Equatable {
        /// Where they were published.
        public var topic: RawText
        /// Which they are.
        public var ids: [GossipMessage.ID]
    }

    /// The sender leaves the receiver's mesh, or does not let it into its own.
    public struct Prune: Sendable, Equatable {
        /// Of which topic's mesh.
        public var topic: RawText
        /// Peers to ask instead. Signed records of their addresses are neither sent nor looked at.
        public var peers: [PeerID] = []
        /// How long not to ask again, in seconds; nil if not said.
        public var backoff: UInt64?
    }

    /// Topics joined and left.
    public var subscriptions: [Subscription] = []
    /// Messages.
    public var messages: [GossipMessage] = []
    /// Messages offered.
    public var iHave: [IHave] = []
    /// Messages asked for.
    public var iWant: [GossipMessage.ID] = []
    /// Topics whose mesh the sender wants the receiver in.
    public var graft: [RawText] = []
    /// Topics whose mesh the sender leaves.
    public var prune: [Prune] = []
    /// Messages not to be sent.
    public var iDontWant: [GossipMessage.ID] = []
    /// Messages that were left out in decoding: not well formed, or not signed.
    public private(set) var malformed = 0

    /// An RPC that says nothing.
    public init() {}

    /// Whether it says nothing.
    public var isEmpty: Bool { self == GossipRPC() }

    /// Whether it only offers messages: then it can wait, and be left out.
    var isOffer: Bool {
        var rest = self
        rest.iHave = []
        return rest.isEmpty
    }

    /// The RPC as it goes on a stream, its length first.
    public var encoded: [UInt8] {
        var message = ProtobufWriter()
        for subscription in subscriptions {
            var entry = ProtobufWriter()
            entry.put(1, bool: subscription.subscribe)
            entry.put(2, text: subscription.topic.string)
            message.put(1, bytes: entry.bytes)
        }
        for published in messages {
            message.put(2, bytes: published.encoded)
        }
        let control = encodedControl
        if !control.isEmpty { message.put(3, bytes: control) }
        let bytes = message.bytes
        var output = ByteWriter(capacity: bytes.count + 4)
        output.put(uvarint: UInt64(bytes.count))
        output.put(bytes: bytes)
        return output.bytes
    }

    private var encodedControl: [UInt8] {
        var control = ProtobufWriter()
        for offer in iHave {
            var entry = ProtobufWriter()
            entry.put(1, text: offer.topic.string)
            for id in offer.ids { entry.put(2, bytes: id) }
            control.put(1, bytes: entry.bytes)
        }
        if !iWant.isEmpty { control.put(2, bytes: Self.encoded(iWant)) }
        for topic in graft {
            var entry = ProtobufWriter()
            entry.put(1, text: topic.string)
            control.put(3, bytes: entry.bytes)
        }
        for item in prune {
            var entry = ProtobufWriter()
            entry.put(1, text: item.topic.string)
            for peer in item.peers {
                var info = ProtobufWriter()
                info.put(1, bytes: peer.bytes)
                entry.put(2, bytes: info.bytes)
            }
            if let backoff = item.backoff { entry.put(3, varint: backoff) }
            control.put(4, bytes: entry.bytes)
        }
        if !iDontWant.isEmpty { control.put(5, bytes: Self.encoded(iDontWant)) }
        return control.bytes
    }

    private static func encoded(_ ids: [GossipMessage.ID]) -> [UInt8] {
        var entry = ProtobufWriter()
        for id in ids { entry.put(1, bytes: id) }
        return entry.bytes
    }

    /// An RPC from the wire, without its length. A message that is the larger part of it shares memory with `bytes`.
    ///
    /// A message that is not well formed is left out and counted: others in the RPC may be good.
    /// Throws `malformed` for what is not an RPC and `tooLarge` for one with too many entries.
    public init(decoding bytes: SharedBytes) throws(LibP2PError) {
        do {
            var reader = ProtobufReader(bytes)
            var published = 0
            while let field = try reader.next() {
                switch field.number {
                case 1:
                    try decodeSubscription(try field.bytes)
                case 2:
                    published += 1
                    guard published <= Self.maximumEntries else { throw LibP2PError.tooLarge("gossip RPC") }
                    if let message = try? GossipMessage(decoding: Self.own(try field.bytes, of: bytes.count)),
                        message.topic.utf8.count <= Self.maximumTopic
                    {
                        messages.append(message)
                    } else {
                        malformed += 1
                    }
                case 3:
                    try decodeControl(try field.bytes)
                default:
                    break
                }
            }
        } catch let error as LibP2PError {
            throw error
        } catch {
            throw .malformed("gossip RPC")
        }
        guard
            [subscriptions.count, iHave.count, iWant.count, graft.count, prune.count, iDontWant.count]
                .allSatisfy({ $0 <= Self.maximumEntries }),
            iHave.allSatisfy({ $0.ids.count <= Self.maximumEntries })
        else { throw .tooLarge("gossip RPC") }
    }

    /// A message's bytes, copied if they are the smaller part of what came with them: a message that waits or is kept
    /// must not hold an RPC that is much longer.
    private static func own(_ message: SharedBytes, of rpc: Int) -> SharedBytes {
        message.count >= rpc / 2 ? message : SharedBytes(message.array)
    }

    /// How many entries it has, of all kinds: each is work.
    var entries: Int {
        subscriptions.count &+ messages.count &+ malformed &+ iWant.count &+ graft.count &+ iDontWant.count
            &+ iHave.reduce(0) { $0 &+ 1 &+ $1.ids.count } &+ prune.reduce(0) { $0 &+ 1 &+ $1.peers.count }
    }

    private mutating func decodeSubscription(_ bytes: SharedBytes) throws {
        var reader = ProtobufReader(bytes)
        var subscribe = false
        var topic: RawText?
        while let field = try reader.next() {
            switch field.number {
            case 1: subscribe = try field.integer != 0
            case 2: topic = try Self.topic(field)
            default: break
            }
        }
        if let topic { subscriptions.append(Subscription(subscribe: subscribe, topic: topic)) }
    }

    private mutating func decodeControl(_ bytes: SharedBytes) throws {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            guard (1...5).contains(field.number) else { continue }
            var entry = ProtobufReader(try field.bytes)
            var topic: RawText?
            var ids: [GossipMessage.ID] = []
            var peers: [PeerID] = []
            var backoff: UInt64?
            // IHAVE, GRAFT and PRUNE have the topic in field 1; IWANT and IDONTWANT have IDs there.
            let hasTopic = field.number != 2 && field.number != 5
            while let item = try entry.next() {
                switch (item.number, hasTopic) {
                case (1, true): topic = try Self.topic(item)
                case (1, false): try Self.append(item, to: &ids)
                case (2, true) where field.number == 1: try Self.append(item, to: &ids)
                case (2, true) where field.number == 4 && peers.count < Self.maximumPeers:
                    if let peer = try Self.peer(item) { peers.append(peer) }
                case (3, true) where field.number == 4: backoff = try item.integer
                default: break
                }
            }
            switch (field.number, topic) {
            case (1, let topic?): iHave.append(IHave(topic: topic, ids: ids))
            case (2, _): iWant += ids
            case (3, let topic?): graft.append(topic)
            case (4, let topic?): prune.append(Prune(topic: topic, peers: peers, backoff: backoff))
            case (5, _): iDontWant += ids
            default: break
            }
        }
    }

    private static func topic(_ field: ProtobufReader.Field) throws -> RawText {
        let topic = RawText(try field.text)
        guard topic.utf8.count <= maximumTopic else { throw LibP2PError.tooLarge("gossip topic") }
        return topic
    }

    /// The peer of a PRUNE's `PeerInfo{1 peerID, 2 signedPeerRecord}`.
    private static func peer(_ field: ProtobufReader.Field) throws -> PeerID? {
        var reader = ProtobufReader(try field.bytes)
        var peer: PeerID?
        while let item = try reader.next() {
            if item.number == 1 { peer = try PeerID(bytes: try item.bytes.array) }
        }
        return peer
    }

    private static func append(_ field: ProtobufReader.Field, to ids: inout [GossipMessage.ID]) throws {
        let id = try field.bytes
        guard id.count <= maximumID, ids.count < maximumEntries else {
            throw LibP2PError.tooLarge("gossip RPC")
        }
        ids.append(id.array)
    }
}
