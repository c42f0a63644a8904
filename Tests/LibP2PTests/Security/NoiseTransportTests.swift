import Bytes
import Crypto
import Testing

@testable import LibP2P

@Suite struct NoiseTransportTests {
    private func pair() throws -> (NoiseTransport, NoiseTransport) {
        let pool = FrameBufferPool()
        let (a, b) = (try SecretBytes(random: 32), try SecretBytes(random: 32))
        return (
            NoiseTransport(
                sending: try NoiseCipherState(key: a), receiving: try NoiseCipherState(key: b), pool: pool),
            NoiseTransport(
                sending: try NoiseCipherState(key: b), receiving: try NoiseCipherState(key: a), pool: pool)
        )
    }

    private static let lengths = [0, 1, 11, 1_000, 65_518, 65_519]

    private func plaintext(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    }

    @Test(arguments: [1, 2, 17, 4_096, 65_536, 1 << 20])
    func framesSurviveAnyCut(_ piece: Int) throws {
        let (left, right) = try pair()
        var wire: [UInt8] = []
        var expected: [UInt8] = []
        for length in Self.lengths {
            let text = plaintext(length)
            wire += try left.sealed(text)
            expected += text
        }
        #expect(wire.count == expected.count + Self.lengths.count * NoiseTransport.overhead)
        var output: [UInt8] = []
        var rest = wire[...]
        while !rest.isEmpty {
            output += try right.plaintext(of: Array(rest.prefix(piece)))
            rest = rest.dropFirst(piece)
        }
        #expect(output == expected)
        #expect(right.isIdle)
    }

    /// Readers offer memory for every other message, and some leave before it is complete.
    @Test(arguments: [1, 17, 4_096, 40_000, 65_536]) func readersGetFramesInPieces(_ piece: Int) throws {
        let (left, right) = try pair()
        let texts = Self.lengths.map { plaintext($0) }
        var rest = try texts.reduce(into: []) { $0 += try left.sealed($1) }[...]
        let memory = ByteBuffer(count: 65_519)
        var (output, placed, pieces) = ([[UInt8]](), 0, 0)
        while !rest.isEmpty {
            var bytes = Array(rest.prefix(piece))
            rest = rest.dropFirst(piece)
            try bytes.withUnsafeMutableBytes { bytes in
                try right.receive(
                    bytes,
                    place: { count, isWhole in
                        placed += 1
                        guard placed % 2 == 0 else { return nil }
                        return UnsafeMutableRawBufferPointer(rebasing: memory.bytes[..<count])
                    },
                    deliver: { (plaintext) throws(LibP2PError) in output.append(Array(plaintext)) })
            }
            pieces += 1
            if pieces % 3 == 0 {
                right.leavePlace()
                memory.bytes.initializeMemory(as: UInt8.self, repeating: 0xEE)
            }
        }
        #expect(output == texts && placed == texts.count)
        #expect(right.isIdle)
    }

    @Test func onlyAPartialFrameHoldsABuffer() throws {
        let (left, right) = try pair()
        let frame = try left.sealed([1, 2, 3])
        #expect(right.isIdle)
        #expect(try right.plaintext(of: Array(frame.prefix(1))) == [])
        #expect(!right.isIdle)
        #expect(try right.plaintext(of: Array(frame[1..<10])) == [])
        #expect(!right.isIdle)
        #expect(try right.plaintext(of: Array(frame[10...])) == [1, 2, 3])
        #expect(right.isIdle)
    }

    @Test func everyFlippedByteIsNoticed() throws {
        for index in 0..<21 {
            let (left, right) = try pair()
            var frame = try left.sealed([1, 2, 3])
            #expect(frame.count == 21)
            frame[index] ^= 0x80
            // A flipped length leaves the frame incomplete or cut, so that the following bytes do not decrypt.
            frame += try left.sealed(plaintext(40_000))
            #expect(throws: LibP2PError.self, "byte \(index)") { try right.plaintext(of: frame) }
        }
    }

    @Test func aReplayedFrameIsNoticed() throws {
        let (left, right) = try pair()
        let frame = try left.sealed([1])
        _ = try right.plaintext(of: frame)
        #expect(throws: LibP2PError.decryptionFailed) { try right.plaintext(of: frame) }
    }

    @Test func aFrameShorterThanItsTagIsRefused() throws {
        for length in 0..<16 {
            let (_, right) = try pair()
            #expect(throws: LibP2PError.malformed("Noise frame: shorter than its tag")) {
                try right.plaintext(of: [0, UInt8(length)])
            }
        }
    }

    @Test func tooMuchPlaintextIsRefused() throws {
        let (left, _) = try pair()
        #expect(throws: LibP2PError.tooLarge("Noise message")) { try left.sealed(plaintext(65_520)) }
    }

    @Test func aUsedUpCipherStops() throws {
        let key = try SecretBytes(random: 32)
        func state(_ nonce: UInt64) throws -> NoiseTransport {
            NoiseTransport(
                sending: try NoiseCipherState(key: key, nonce: nonce),
                receiving: try NoiseCipherState(key: key, nonce: nonce), pool: FrameBufferPool())
        }
        let (left, right) = (try state(.max - 1), try state(.max - 1))
        let last = try left.sealed([1])
        #expect(try right.plaintext(of: last) == [1])
        #expect(throws: LibP2PError.nonceExhausted) { try left.sealed([2]) }
        #expect(throws: LibP2PError.nonceExhausted) { try right.plaintext(of: last) }
    }

    @Test func anErrorOfTheConsumerStopsTheRest() throws {
        let (left, right) = try pair()
        var wire = try left.sealed([1]) + left.sealed([2])
        var seen = 0
        #expect(throws: LibP2PError.streamClosed) {
            var span = wire.mutableSpan
            var bytes = span.mutableBytes
            try bytes.withUnsafeMutableBytes { (buffer) throws(LibP2PError) in
                try right.receive(buffer) { (_) throws(LibP2PError) in
                    seen += 1
                    throw .streamClosed
                }
            }
        }
        #expect(seen == 1)
    }
}
