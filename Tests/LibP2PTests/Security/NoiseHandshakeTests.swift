import Bytes
import Crypto
import Multiformats
import Testing

@testable import LibP2P

@Suite struct NoiseHandshakeTests {
    /// One side of a handshake under test.
    private final class Side {
        let key: PrivateKey
        var handshake: NoiseHandshake
        var outcome: NoiseHandshake.Outcome?

        init(
            dialing: Bool, _ key: PrivateKey, expecting: PeerID? = nil, muxers: [ProtocolID] = [.yamux]
        ) throws {
            self.key = key
            let identity = NoiseIdentity(key, staticKey: try .generate(), muxers: muxers)
            handshake = try NoiseHandshake(
                dialing: dialing, identity: identity, ephemeral: try .generate(), expectedPeer: expecting,
                pool: FrameBufferPool())
        }

        /// Feeds bytes in one piece and returns the bytes to send.
        func receive(_ bytes: [UInt8]) throws(LibP2PError) -> [UInt8] {
            let step = try bytes.span.bytes.withUnsafeBytes { (raw) throws(LibP2PError) in
                try handshake.receive(raw)
            }
            outcome = step.outcome ?? outcome
            return step.output
        }
    }

    private static let keyTypes = [KeyType.ed25519, .secp256k1]

    @Test(arguments: keyTypes, keyTypes)
    func bothSidesLearnEachOther(_ dialerType: KeyType, _ listenerType: KeyType) throws {
        let listenerKey = try PrivateKey.generate(listenerType)
        let dialer = try Side(
            dialing: true, try .generate(dialerType), expecting: listenerKey.publicKey.peerID)
        let listener = try Side(dialing: false, listenerKey)
        let second = try listener.receive(try dialer.handshake.start())
        let third = try dialer.receive(second)
        #expect(try listener.receive(third) == [])
        let (left, right) = (try #require(dialer.outcome), try #require(listener.outcome))
        #expect(left.remoteKey == listenerKey.publicKey)
        #expect(right.remoteKey == dialer.key.publicKey)
        #expect(left.muxer == .yamux && right.muxer == .yamux)
        #expect(try right.transport.plaintext(of: try left.transport.sealed([1, 2, 3])) == [1, 2, 3])
        #expect(try left.transport.plaintext(of: try right.transport.sealed([4])) == [4])
    }

    @Test func initiatorsPreferenceDecidesTheMuxer() throws {
        let dialer = try Side(dialing: true, try .generate(.ed25519), muxers: ["/x", "/b", "/a"])
        let listener = try Side(dialing: false, try .generate(.ed25519), muxers: ["/a", "/b"])
        _ = try listener.receive(try dialer.receive(try listener.receive(try dialer.handshake.start())))
        #expect(dialer.outcome?.muxer == "/b" && listener.outcome?.muxer == "/b")
    }

    @Test func noEarlyMuxerWithoutACommonOne() throws {
        let dialer = try Side(dialing: true, try .generate(.ed25519), muxers: [])
        let listener = try Side(dialing: false, try .generate(.ed25519))
        _ = try listener.receive(try dialer.receive(try listener.receive(try dialer.handshake.start())))
        #expect(dialer.outcome != nil && dialer.outcome?.muxer == nil)
        #expect(listener.outcome != nil && listener.outcome?.muxer == nil)
    }

    /// Lists without a common entry must not lead to a negotiation. The error shows the peer's list in printable ASCII.
    @Test func listsWithoutACommonMuxerFail() throws {
        let dialer = try Side(dialing: true, try .generate(.ed25519), muxers: ["/x", "/y"])
        let listener = try Side(dialing: false, try .generate(.ed25519), muxers: ["/a", "/b\n"])
        let second = try listener.receive(try dialer.handshake.start())
        let error = #expect(throws: LibP2PError.noCommonMultiplexer(["/a", "/b?"])) {
            try dialer.receive(second)
        }
        #expect(error.map { "\($0)".hasSuffix("the peer supports /a, /b?") } == true)
        #expect(dialer.outcome == nil)
    }

    @Test func byteByByte() throws {
        let dialer = try Side(dialing: true, try .generate(.secp256k1))
        let listener = try Side(dialing: false, try .generate(.ed25519))
        var second: [UInt8] = []
        for byte in try dialer.handshake.start() { second += try listener.receive([byte]) }
        var third: [UInt8] = []
        for byte in second { third += try dialer.receive([byte]) }
        for byte in third { #expect(try listener.receive([byte]) == []) }
        #expect(dialer.outcome?.remoteKey == listener.key.publicKey)
        #expect(listener.outcome?.remoteKey == dialer.key.publicKey)
    }

    @Test func bytesBehindTheHandshakeAreLeft() throws {
        let dialer = try Side(dialing: true, try .generate(.ed25519))
        let listener = try Side(dialing: false, try .generate(.ed25519))
        let second = try listener.receive(try dialer.handshake.start())
        let third = try dialer.receive(second)
        let step = try (third + [9, 9, 9]).span.bytes.withUnsafeBytes { (raw) throws(LibP2PError) in
            try listener.handshake.receive(raw)
        }
        #expect(step.outcome != nil)
        #expect(step.consumed == third.count)
    }

    @Test func wrongPeerIsFoundBeforeTheDialerShowsItself() throws {
        let stranger = try PrivateKey.generate(.ed25519).publicKey.peerID
        let listenerKey = try PrivateKey.generate(.ed25519)
        let dialer = try Side(dialing: true, try .generate(.ed25519), expecting: stranger)
        let listener = try Side(dialing: false, listenerKey)
        let second = try listener.receive(try dialer.handshake.start())
        #expect(throws: LibP2PError.wrongPeer(expected: stranger, actual: listenerKey.publicKey.peerID)) {
            try dialer.receive(second)
        }
        #expect(dialer.outcome == nil)
    }

    @Test(arguments: keyTypes) func everyFlippedByteIsNoticed(_ type: KeyType) throws {
        let (dialerKey, listenerKey) = (try PrivateKey.generate(type), try PrivateKey.generate(type))
        /// Returns whether the handshake completes on both sides and carries data, with one byte of one message
        /// flipped.
        func completes(message: Int, byte: Int) throws -> (done: Bool, length: Int) {
            let dialer = try Side(dialing: true, dialerKey)
            let listener = try Side(dialing: false, listenerKey)
            var lengths = 0
            func flip(_ bytes: [UInt8], _ index: Int) -> [UInt8] {
                var bytes = bytes
                if index == message {
                    lengths = bytes.count
                    bytes[byte] ^= 1
                }
                return bytes
            }
            do {
                let first = flip(try dialer.handshake.start(), 0)
                let second = flip(try listener.receive(first), 1)
                let third = flip(try dialer.receive(second), 2)
                _ = try listener.receive(third)
                return (dialer.outcome != nil && listener.outcome != nil, lengths)
            } catch {
                return (false, lengths)
            }
        }
        for message in 0..<3 {
            let length = try completes(message: message, byte: 0).length
            #expect(length > 32)
            // Every byte of the first message, and some of each field of the longer ones.
            for byte in stride(from: 0, to: length, by: message == 0 ? 1 : 7) {
                #expect(try !completes(message: message, byte: byte).done, "message \(message), byte \(byte)")
            }
        }
    }

    @Test func truncatedAtEveryByteStaysIncomplete() throws {
        let dialer = try Side(dialing: true, try .generate(.ed25519))
        let listener = try Side(dialing: false, try .generate(.ed25519))
        let first = try dialer.handshake.start()
        for count in 0..<first.count {
            let other = try Side(dialing: false, try .generate(.ed25519))
            #expect(try other.receive(Array(first.prefix(count))) == [])
            #expect(other.outcome == nil)
        }
        let second = try listener.receive(first)
        for count in 0..<second.count {
            var copy = dialer.handshake
            let step = try second.span.bytes.withUnsafeBytes { (raw) throws(LibP2PError) in
                try copy.receive(UnsafeRawBufferPointer(rebasing: raw[..<count]))
            }
            #expect(step.output == [] && step.outcome == nil)
        }
    }

    @Test func aShortMessageWithARightLengthIsRefused() throws {
        let listener = try Side(dialing: false, try .generate(.ed25519))
        #expect(throws: LibP2PError.malformed("Noise handshake: a message is too short")) {
            try listener.receive([0, 31] + [UInt8](repeating: 7, count: 31))
        }
        let other = try Side(dialing: false, try .generate(.ed25519))
        #expect(throws: LibP2PError.malformed("Noise handshake: a message is too short")) {
            try other.receive([0, 0])
        }
    }

    @Test func aLongMessageIsRefusedByItsLength() throws {
        let listener = try Side(dialing: false, try .generate(.ed25519))
        #expect(throws: LibP2PError.tooLarge("Noise handshake message")) {
            try listener.receive([0x20, 0x01])
        }
    }

    @Test func aKeyOfLowOrderIsRefused() throws {
        let listener = try Side(dialing: false, try .generate(.ed25519))
        #expect(throws: LibP2PError.malformed("Noise handshake: a public key of low order")) {
            try listener.receive([0, 32] + [UInt8](repeating: 0, count: 32))
        }
    }

    @Test func anotherIdentitysSignatureIsRefused() throws {
        let staticKey = try NoiseKeyPair.generate()
        let honest = NoiseIdentity(try .generate(.ed25519), staticKey: staticKey, muxers: [])
        var payload = honest.payload
        _ = try payload.verifiedKey(staticKey: staticKey.publicKey)
        payload.identityKey = try PrivateKey.generate(.ed25519).publicKey.libp2pProtobuf
        #expect(throws: LibP2PError.badSignature) { try payload.verifiedKey(staticKey: staticKey.publicKey) }
        #expect(throws: LibP2PError.badSignature) {
            try honest.payload.verifiedKey(staticKey: try NoiseKeyPair.generate().publicKey)
        }
        #expect(throws: LibP2PError.malformed("identity key")) {
            try NoisePayload(identityKey: [1], signature: [], muxers: []).verifiedKey(staticKey: [])
        }
    }

    @Test func payloadsSurviveTheirProtobuf() throws {
        let payload = NoisePayload(
            identityKey: [1, 2], signature: [3], muxers: ["/yamux/1.0.0", "/mplex/6.7.0"])
        #expect(try NoisePayload(decoding: payload.encoded) == payload)
        // Fields 3 and 9 are unknown, and so is field 1 of the extensions.
        var writer = ProtobufWriter()
        writer.put(1, bytes: [1, 2] as [UInt8])
        writer.put(2, bytes: [3] as [UInt8])
        writer.put(3, bytes: [5] as [UInt8])
        writer.put(4, bytes: [0x0a, 1, 9, 0x12, 2, 0x2f, 0x61] as [UInt8])
        writer.put(9, varint: 4)
        #expect(
            try NoisePayload(decoding: writer.bytes)
                == NoisePayload(identityKey: [1, 2], signature: [3], muxers: ["/a"]))
        for count in 1..<payload.encoded.count {
            _ = try? NoisePayload(decoding: Array(payload.encoded.prefix(count)))
        }
        #expect(throws: LibP2PError.malformed("Noise payload")) { try NoisePayload(decoding: [0x0a, 5, 1]) }
    }
}
