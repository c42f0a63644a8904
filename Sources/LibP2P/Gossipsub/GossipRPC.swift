import Bytes
import Multiformats

/// A message between two routers: subscriptions, published messages and control, in one protobuf.
///
/// libp2p pubsub specification, `RPC{1 subscriptions, 2 publish, 3 control}`, and gossipsub 1.0 to 1.2,
/// `ControlMessage{1 ihave, 2 iwant, 3 graft, 4 prune, 5 idontwant}`. On a stream each is preceded by its length as an
/// unsigned varint.
public struct GossipRPC: Sendable, Equatable {
    /// The longest RPC sent or accepted, in bytes, as in other implementations.
    public static let maximumSize = 1 << 20
    /// The longest topic, in bytes.
    public static let maximumTopic = 256
    /// The most entries of each kind accepted in one RPC; a peer with more sends several RPCs.
    public static let maximumEntries = 5_000
    /// The longest message ID accepted, in bytes. This host's own are under 50 bytes; other schemes use hashes.
    public static let maximumID = 128

    /// The most peers accepted in one PRUNE.
    public static let maximumPeers = 64

    /// A topic joined or left.
    public struct Subscription: Sendable, Equatable {
        /// Whether it was joined.
        public var subscribe: Bool
        /// The topic.
        public var topic: RawText
    }

    /// Messages that the sender has.
    public struct IHave: Sendable, Equatable {
        /// Their topic.
        public var topic: RawText
        /// Their IDs.
        public var ids: [GossipMessage.ID]
    }

    /// The sender leaves a mesh with the receiver, or refuses its GRAFT.
    public struct Prune: Sendable, Equatable {
        /// The mesh's topic.
        public var topic: RawText
        /// Peers to graft instead. Signed records of their addresses are neither sent nor read.
        public var peers: [PeerID] = []
        /// How long not to graft again, in seconds; nil if not given.
        public var backoff: UInt64?
    }

    /// Topics joined and left.
    public var subscriptions: [Subscription] = []
    /// Published messages.
    public var messages: [GossipMessage] = []
    /// Messages offered.
    public var iHave: [IHave] = []
    /// Messages requested.
    public var iWant: [GossipMessage.ID] = []
    /// Topics whose mesh the sender wants the receiver in.
    public var graft: [RawText] = []
    /// Topics whose mesh the sender leaves.
    public var prune: [Prune] = []
    /// Messages that the receiver need not send.
    public var iDontWant: [GossipMessage.ID] = []
    /// The number of messages skipped in decoding, because they are malformed or not signed.
    public private(set) var malformed = 0

    init() {}

    /// Whether it has no entries.
    public var isEmpty: Bool { self == GossipRPC() }

    /// Whether it has only offers, so that it can wait or be dropped.
    var isOffer: Bool {
        var rest = self
        rest.iHave = []
        return rest.isEmpty
    }

    /// The RPC as on a stream, its length first.
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
        return message.delimited
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

    /// Decodes an RPC without its length. A message that makes up half of it or more shares memory with `bytes`.
    ///
    /// Skips and counts a malformed message, because others in the RPC may be good. Throws `malformed` if the bytes are
    /// not an RPC and `tooLarge` if it has too many entries.
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

    /// Returns a message's bytes, copied if they are less than half of the RPC, so that a queued or kept message does
    /// not hold a much longer RPC.
    private static func own(_ message: SharedBytes, of rpc: Int) -> SharedBytes {
        message.count >= rpc / 2 ? message : SharedBytes(message.array)
    }

    /// The number of entries of all kinds, each of which causes work.
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
