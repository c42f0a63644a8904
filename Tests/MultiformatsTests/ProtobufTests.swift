import Bytes
import Collections
import Multiformats
import TestSupport
import Testing

@Suite struct ProtobufTests {
    @Test func readsWhatTheWriterWrote() throws {
        var inner = ProtobufWriter()
        inner.put(1, varint: 150)
        var writer = ProtobufWriter()
        writer.put(1, varint: .max)
        writer.put(2, text: "testing")
        writer.put(3, bytes: inner.bytes)
        writer.put(4, bool: true)
        writer.put(536_870_911, bytes: SharedBytes())
        var reader = ProtobufReader(writer.bytes)
        let first = try #require(try reader.next())
        #expect(first.number == 1 && first.value == .varint(.max))
        let second = try #require(try reader.next())
        #expect(try second.text == "testing")
        #expect(throws: BytesError.self) { try second.integer }
        let third = try #require(try reader.next())
        #expect(try third.bytes.array == [0x08, 0x96, 0x01])
        #expect(throws: BytesError.self) { try third.text }
        let fourth = try #require(try reader.next())
        #expect(try fourth.integer == 1)
        #expect(throws: BytesError.self) { try fourth.bytes }
        let fifth = try #require(try reader.next())
        #expect(fifth.number == 536_870_911 && fifth.value == .bytes(SharedBytes()))
        #expect(try reader.next() == nil)
    }

    @Test func fixedWidthFieldsAreReadOver() throws {
        var reader = ProtobufReader([0x0D, 1, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0, 0, 0, 0x18, 0x03])
        #expect(try reader.next()?.value == .fixed32(1))
        #expect(try reader.next()?.value == .fixed64(2))
        #expect(try reader.next()?.value == .varint(3))
    }

    @Test(
        arguments: [
            [0x80], [0x08], [0x08, 0x80], [0x00, 0x01], [0x0A, 0x05, 0x01], [0x0B], [0x0C], [0x0E], [0x0F],
            [0x0D, 1, 2],
            [0x09, 1, 2], [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            [0x80, 0x80, 0x80, 0x80, 0x10, 0x00],  // field number 2^29
            [0x08] + [UInt8](repeating: 0xFF, count: 11),
        ] as [[UInt8]])
    func badMessagesAreRefused(_ bytes: [UInt8]) {
        var reader = ProtobufReader(bytes)
        #expect(throws: BytesError.self) { try reader.next() }
    }

    @Test func randomBytesNeverTrap() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<20_000 {
            let bytes = random.bytes(Int.random(in: 0...24, using: &random))
            var reader = ProtobufReader(bytes)
            var fields = 0
            while let field = try? reader.next() {
                fields += 1
                _ = try? field.text
            }
            #expect(fields <= bytes.count)
        }
    }
}
