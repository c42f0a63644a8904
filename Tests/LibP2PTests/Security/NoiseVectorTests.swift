import Bytes
import Crypto
import TestSupport
import Testing

@testable import LibP2P

/// Noise_XX_25519_ChaChaPoly_SHA256 against vectors of other implementations.
@Suite struct NoiseVectorTests {
    struct File: Decodable {
        let vectors: [Vector]
    }

    struct Vector: Decodable, CustomTestStringConvertible {
        let initPrologue, initStatic, initEphemeral: String
        let respPrologue, respStatic, respEphemeral: String
        let handshakeHash: String?
        let messages: [Message]
        let source: String?

        var testDescription: String { source ?? "vector" }
    }

    struct Message: Decodable {
        let payload, ciphertext: String
    }

    static func vectors() throws -> [Vector] {
        try Vectors.load(File.self, from: "noise-xx-25519-chachapoly-sha256.json").vectors
    }

    private func pair(_ hex: String) throws -> NoiseKeyPair {
        try NoiseKeyPair(privateKey: SecretBytes(copying: Hex.decode(hex)))
    }

    @Test func thereAreVectors() throws {
        #expect(try Self.vectors().count == 2)
    }

    @Test(arguments: try vectors()) func reproduces(_ vector: Vector) throws {
        var initiator = try NoiseXX(
            role: .initiator, prologue: Hex.decode(vector.initPrologue), staticKey: pair(vector.initStatic),
            ephemeral: pair(vector.initEphemeral))
        var responder = try NoiseXX(
            role: .responder, prologue: Hex.decode(vector.respPrologue), staticKey: pair(vector.respStatic),
            ephemeral: pair(vector.respEphemeral))
        for (index, message) in vector.messages.prefix(3).enumerated() {
            let payload = try Hex.decode(message.payload)
            let written: [UInt8]
            let read: [UInt8]
            if index % 2 == 0 {
                written = try initiator.write(payload: payload)
                read = try responder.read(written)
            } else {
                written = try responder.write(payload: payload)
                read = try initiator.read(written)
            }
            #expect(Hex.encode(written) == message.ciphertext)
            #expect(read == payload)
        }
        #expect(initiator.isComplete && responder.isComplete)
        #expect(initiator.handshakeHash == responder.handshakeHash)
        if let hash = vector.handshakeHash { #expect(Hex.encode(initiator.handshakeHash) == hash) }
        #expect(initiator.remoteStatic == (try pair(vector.respStatic).publicKey))
        #expect(responder.remoteStatic == (try pair(vector.initStatic).publicKey))

        let pool = FrameBufferPool()
        let (first, second) = try (initiator.split(), responder.split())
        let ends = [
            NoiseTransport(
                sending: try NoiseCipherState(key: second.send),
                receiving: try NoiseCipherState(key: second.receive), pool: pool),
            NoiseTransport(
                sending: try NoiseCipherState(key: first.send),
                receiving: try NoiseCipherState(key: first.receive), pool: pool),
        ]
        for (index, message) in vector.messages.enumerated().dropFirst(3) {
            let payload = try Hex.decode(message.payload)
            // The sides continue to alternate, so the responder sends the first transport message.
            let sender = ends[(index + 1) % 2]
            let receiver = ends[index % 2]
            let frame = try sender.sealed(payload)
            #expect(Hex.encode(frame.dropFirst(2)) == message.ciphertext)
            #expect(try receiver.plaintext(of: frame) == payload)
        }
    }
}

extension NoiseTransport {
    /// Feeds `bytes` in one piece and returns the plaintext of their messages.
    func plaintext(of bytes: [UInt8]) throws(LibP2PError) -> [UInt8] {
        var copy = bytes
        var output: [UInt8] = []
        var span = copy.mutableSpan
        var raw = span.mutableBytes
        try raw.withUnsafeMutableBytes { (buffer) throws(LibP2PError) in
            try receive(buffer) { (plaintext) throws(LibP2PError) in output.append(contentsOf: plaintext) }
        }
        return output
    }
}
