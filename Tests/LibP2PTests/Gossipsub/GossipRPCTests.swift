import Bytes
import Crypto
import Multiformats
import Testing

@testable import LibP2P

@Suite struct GossipRPCTests {
    /// RPCs encoded and signed by py-libp2p 0.8.1, with every kind of entry: from an Ed25519 author with the data
    /// "hello" and a secp256k1 author without data.
    static let foreign = [
        (
            "12D3KooWHbiPhWjSdg1gsoDdX1NkuWEzJCEZfRrnv5uENpWeQy5V", "hello",
            """
            ee010a080801120461636b730a0908001205726573657412a7010a26002408011220739fcfbfad6714730bd4a9b74e524d46bb46\
            3103faba2762ad4a7e02ec81b02c120568656c6c6f1a08000000006553f100220461636b732a4054b0a4e8a92e325d0540cfe0ac\
            9afe9a040da994c45f5aab7ba7d1eeb5b87642444b4eee3ce73b26157a09dc2d2cc64b0bd4bf8f706dd21f36f8bd90155b930432\
            2408011220739fcfbfad6714730bd4a9b74e524d46bb463103faba2762ad4a7e02ec81b02c1a2d0a0d0a0461636b731202010212\
            01ff12030a01031a060a0461636b7322090a057265736574183c2a040a020405
            """
        ),
        (
            "16Uiu2HAm6HEVqfuQsJBudh7yka9GqXkXPsZRhHVAC6LZkEtzUiys", "",
            """
            f1010a080801120461636b730a0908001205726573657412aa010a2700250802122102a14718e0832dffebfb747475aeb7a4a25e\
            43d595c9c043a8e4a35899e888800e12001a08000000006553f100220461636b732a46304402203b7c572029de03b356c624aeab\
            503f182a5e48a50b7ee09d5d49b91271a9c02602203c69773005efb9632b96a1e9aa2b68069e92e87b5a11a7e96b6eb068ce2fe8\
            7632250802122102a14718e0832dffebfb747475aeb7a4a25e43d595c9c043a8e4a35899e888800e1a2d0a0d0a0461636b731202\
            01021201ff12030a01031a060a0461636b7322090a057265736574183c2a040a020405
            """
        ),
    ]

    @Test(arguments: foreign) func readsAndWritesWhatPyLibP2PWrites(
        _ author: String, _ text: String, _ hex: String
    ) throws {
        let bytes = try Hex.decode(hex)
        let rpc = try GossipRPC(decoding: SharedBytes(Array(bytes.dropFirst(2))))
        #expect(rpc.subscriptions.map(\.topic) == ["acks", "reset"])
        #expect(rpc.subscriptions.map(\.subscribe) == [true, false])
        #expect(rpc.iHave == [.init(topic: "acks", ids: [[1, 2], [0xff]])])
        #expect(rpc.iWant == [[3]])
        #expect(rpc.graft == ["acks"])
        #expect(rpc.prune == [.init(topic: "reset", backoff: 60)])
        #expect(rpc.iDontWant == [[4, 5]])
        let message = try #require(rpc.messages.first)
        #expect(message.author.description == author)
        #expect(message.data.array == Array(text.utf8))
        #expect(message.sequence == 1_700_000_000)
        #expect(message.topic == "acks")
        #expect(message.id == message.author.bytes + [0, 0, 0, 0, 0x65, 0x53, 0xf1, 0])
        #expect(message.verify())
        #expect(rpc.encoded == bytes)
    }

    @Test(arguments: [KeyType.ed25519, .secp256k1]) func ownMessagesVerify(_ type: KeyType) throws {
        let key = try PrivateKey.generate(type)
        let message = GossipMessage(topic: "acks", data: [1, 2], sequence: 7, author: key)
        let decoded = try GossipMessage(decoding: message.encoded)
        #expect(decoded == message)
        #expect(decoded.verify())
        #expect(decoded.author == key.publicKey.peerID)
    }

    @Test func anyFlippedByteIsNoticed() throws {
        let message = GossipMessage(
            topic: "acks", data: [1, 2], sequence: 7, author: try .generate(.ed25519))
        for index in 0..<message.encoded.count {
            var bytes = message.encoded.array
            bytes[index] ^= 1
            let decoded = try? GossipMessage(decoding: SharedBytes(bytes))
            #expect(decoded?.verify() != true, "byte \(index)")
        }
    }

    @Test func messagesWithoutTheirPartsAreRefused() throws {
        let message = GossipMessage(topic: "acks", data: [1], sequence: 7, author: try .generate(.ed25519))
        var reader = ProtobufReader(message.encoded)
        var fields: [ProtobufReader.Field] = []
        while let field = try reader.next() { fields.append(field) }
        func without(_ number: UInt32) throws -> SharedBytes {
            var writer = ProtobufWriter()
            for field in fields where field.number != number {
                writer.put(field.number, bytes: try field.bytes)
            }
            return SharedBytes(writer.bytes)
        }
        for number: UInt32 in [1, 3, 4, 5] {
            #expect(throws: LibP2PError.self) { try GossipMessage(decoding: try without(number)) }
        }
        // The peer ID contains the key, so its field may be missing. The data may be missing, too, but the signature
        // covers it.
        #expect(try GossipMessage(decoding: try without(6)).verify())
        #expect(try !GossipMessage(decoding: try without(2)).verify())
        // Two topics, which the specification no longer allows.
        var writer = ProtobufWriter()
        for field in fields { writer.put(field.number, bytes: try field.bytes) }
        writer.put(4, text: "other")
        #expect(throws: LibP2PError.self) { try GossipMessage(decoding: SharedBytes(writer.bytes)) }
    }

    @Test func aBadMessageDoesNotSpoilItsRPC() throws {
        let good = GossipMessage(topic: "acks", data: [1], sequence: 7, author: try .generate(.ed25519))
        var writer = ProtobufWriter()
        writer.put(2, bytes: [0x0a, 1, 9] as [UInt8])
        writer.put(2, bytes: good.encoded)
        let rpc = try GossipRPC(decoding: SharedBytes(writer.bytes))
        #expect(rpc.messages == [good] && rpc.malformed == 1)
    }

    @Test func emptyDataMayBeLeftOutIfItIsSignedSo() throws {
        let key = try PrivateKey.generate(.ed25519)
        var writer = ProtobufWriter()
        writer.put(1, bytes: key.publicKey.peerID.bytes)
        writer.put(3, bytes: [0, 0, 0, 0, 0, 0, 0, 1] as [UInt8])
        writer.put(4, text: "discovery_request")
        let signature = key.signHandshake(Array("libp2p-pubsub:".utf8) + writer.bytes)
        writer.put(5, bytes: signature)
        let message = try GossipMessage(decoding: SharedBytes(writer.bytes))
        #expect(message.verify() && message.data.isEmpty)
    }

    @Test func whatTheSignatureDoesNotCoverIsRefused() throws {
        let good = GossipMessage(topic: "acks", data: [1], sequence: 7, author: try .generate(.ed25519))
        for (number, value) in [(7, []), (2, [1]), (3, [0, 0, 0, 0, 0, 0, 0, 7])] as [(UInt32, [UInt8])] {
            var writer = ProtobufWriter()
            writer.put(number, bytes: value)
            let bytes = SharedBytes(good.encoded.array + writer.bytes)
            #expect(throws: LibP2PError.self) { try GossipMessage(decoding: bytes) }
        }
    }

    @Test func peersToExchangeAreWrittenAndReadWithoutTheirRecords() throws {
        let peers = (1...3).map { RouterFixture.peer(UInt8($0)) }
        var rpc = GossipRPC()
        rpc.prune = [.init(topic: "acks", peers: peers, backoff: 60)]
        let bytes = SharedBytes(Array(rpc.encoded.dropFirst(2)))
        #expect(try GossipRPC(decoding: bytes) == rpc)
        var info = ProtobufWriter()
        info.put(1, bytes: peers[0].bytes)
        info.put(2, bytes: [9, 9, 9] as [UInt8])
        var (prune, control, writer) = (ProtobufWriter(), ProtobufWriter(), ProtobufWriter())
        prune.put(1, text: "acks")
        for _ in 0..<100 { prune.put(2, bytes: info.bytes) }
        control.put(4, bytes: prune.bytes)
        writer.put(3, bytes: control.bytes)
        let read = try GossipRPC(decoding: SharedBytes(writer.bytes)).prune
        let expected = [PeerID](repeating: peers[0], count: GossipRPC.maximumPeers)
        #expect(read == [.init(topic: "acks", peers: expected)])
    }

    @Test func aMessagesFrameIsAnRPC() throws {
        let message = GossipMessage(
            topic: "acks", data: [UInt8](repeating: 1, count: 300), sequence: 7,
            author: try .generate(.ed25519))
        var rpc = GossipRPC()
        rpc.messages = [message]
        #expect(message.frame.array == rpc.encoded)
    }

    /// A message that is kept must not hold the memory of its whole RPC.
    @Test(arguments: [0, 100_000]) func aSmallMessageDoesNotHoldItsRPC(padding: Int) throws {
        let message = GossipMessage(
            topic: "t", data: [1, 2, 3], sequence: 1, author: try .generate(.ed25519))
        var rpc = ProtobufWriter()
        rpc.put(2, bytes: message.encoded)
        rpc.put(9, bytes: [UInt8](repeating: 0, count: padding))
        let bytes = SharedBytes(rpc.bytes)
        let decoded = try #require(try GossipRPC(decoding: bytes).messages.first)
        #expect(decoded == message)
        let isWithin = bytes.withUnsafeBytes { all in
            decoded.encoded.withUnsafeBytes { part in
                guard let first = part.baseAddress, let start = all.baseAddress else { return false }
                return first >= start && first < start + all.count
            }
        }
        #expect(isWithin == (padding == 0))
    }

    @Test func tooManyEntriesAreRefused() throws {
        var control = ProtobufWriter()
        for _ in 0...GossipRPC.maximumEntries { control.put(3, bytes: [0x0a, 1, 0x61] as [UInt8]) }
        var writer = ProtobufWriter()
        writer.put(3, bytes: control.bytes)
        #expect(throws: LibP2PError.tooLarge("gossip RPC")) {
            try GossipRPC(decoding: SharedBytes(writer.bytes))
        }
        var subscription = ProtobufWriter()
        subscription.put(2, text: String(repeating: "t", count: GossipRPC.maximumTopic + 1))
        writer = ProtobufWriter()
        writer.put(1, bytes: subscription.bytes)
        #expect(throws: LibP2PError.tooLarge("gossip topic")) {
            try GossipRPC(decoding: SharedBytes(writer.bytes))
        }
    }

    @Test func flippedAndCutBytesNeverTrap() throws {
        let bytes = try Hex.decode(Self.foreign[0].2)
        for index in 2..<bytes.count {
            _ = try? GossipRPC(decoding: SharedBytes(Array(bytes[2..<index])))
            for bit in 0..<8 {
                var copy = bytes
                copy[index] ^= 1 << UInt8(bit)
                _ = try? GossipRPC(decoding: SharedBytes(Array(copy[2...])))
            }
        }
    }
}
