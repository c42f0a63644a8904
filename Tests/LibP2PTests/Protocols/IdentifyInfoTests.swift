import Bytes
import Crypto
import Multiformats
import Testing

@testable import LibP2P

@Suite struct IdentifyInfoTests {
    private static func info() throws -> IdentifyInfo {
        IdentifyInfo(
            protocolVersion: "ipfs/0.1.0", agentVersion: "apus/1",
            publicKey: try PrivateKey.generate(.secp256k1).publicKey,
            listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/6600"), try Multiaddr("/ip6/::1/tcp/6600")],
            observedAddress: try Multiaddr("/ip4/10.1.2.3/tcp/50000"),
            protocols: [.ping, "/kwil/chain/1.0.0/test"])
    }

    @Test func roundTrip() throws {
        let info = try Self.info()
        #expect(try IdentifyInfo(decoding: info.encoded) == info)
        let empty = IdentifyInfo()
        #expect(try IdentifyInfo(decoding: empty.encoded) == empty)
    }

    @Test func severalMessagesAddUp() throws {
        let first = IdentifyInfo(agentVersion: "one", protocols: [.ping])
        var second = ProtobufWriter()
        second.put(3, text: "/b")
        second.put(8, bytes: [1, 2, 3] as [UInt8])
        let info = try IdentifyInfo(decoding: first.encoded + [UInt8(second.bytes.count)] + second.bytes)
        #expect(info.protocols == [.ping, "/b"])
        #expect(info.agentVersion == "one")
    }

    @Test func addressesWithoutPeerIDGoOut() throws {
        var info = try Self.info()
        let peer = try #require(info.publicKey).peerID
        info.listenAddresses = [try Multiaddr("/ip4/127.0.0.1/tcp/1").appending(.p2p(peer))]
        #expect(
            try IdentifyInfo(decoding: info.encoded).listenAddresses == [
                try Multiaddr("/ip4/127.0.0.1/tcp/1")
            ])
    }

    @Test func unknownTransportsAndLongTextsAreLeftOut() throws {
        var writer = ProtobufWriter()
        writer.put(2, bytes: [0xff, 0xff, 0x03, 1] as [UInt8])
        writer.put(2, bytes: try Multiaddr("/ip4/1.2.3.4/tcp/5").bytes)
        writer.put(3, text: String(repeating: "p", count: 513))
        writer.put(6, text: String(repeating: "a", count: 513))
        var bytes = ByteWriter()
        bytes.put(uvarint: UInt64(writer.bytes.count))
        bytes.put(bytes: writer.bytes)
        let info = try IdentifyInfo(decoding: bytes.bytes)
        #expect(info.listenAddresses == [try Multiaddr("/ip4/1.2.3.4/tcp/5")])
        #expect(info.protocols == [] && info.agentVersion == "")
    }

    @Test func listsAreBounded() throws {
        var writer = ProtobufWriter()
        for number in 0..<2_000 {
            writer.put(2, bytes: try Multiaddr("/ip4/1.2.3.4/tcp/\(number + 1)").bytes)
            writer.put(3, text: "/p/\(number)")
        }
        var bytes = ByteWriter()
        bytes.put(uvarint: UInt64(writer.bytes.count))
        bytes.put(bytes: writer.bytes)
        let info = try IdentifyInfo(decoding: bytes.bytes)
        #expect(info.listenAddresses.count == IdentifyInfo.maximumAddresses)
        #expect(info.protocols.count == IdentifyInfo.maximumProtocols)
    }

    @Test func everyTruncationIsRefused() throws {
        let bytes = try Self.info().encoded
        for count in 0..<bytes.count {
            #expect(throws: LibP2PError.malformed("identify message")) {
                try IdentifyInfo(decoding: Array(bytes.prefix(count)))
            }
        }
    }

    @Test func flippedBytesNeverTrap() throws {
        let bytes = try Self.info().encoded
        for index in bytes.indices {
            for bit in 0..<8 {
                var copy = bytes
                copy[index] ^= 1 << UInt8(bit)
                _ = try? IdentifyInfo(decoding: copy)
            }
        }
    }
}
