import Bytes
import Testing

@Suite struct ByteReaderTests {
    @Test func readsWhatTheWriterWrote() throws {
        var writer = ByteWriter()
        writer.put(u8: 0xFE)
        writer.put(u16: 0x0102)
        writer.put(u32: 0x0102_0304)
        writer.put(u64: .max - 1)
        writer.put(i32: -2)
        writer.put(i64: .min)
        writer.putBE(u16: 0x0102)
        writer.putBE(u32: 0x0102_0304)
        writer.putBE(u64: 0x0102_0304_0506_0708)
        writer.putBE(i64: -3)
        writer.put(bytes: [5, 6])
        writer.put(bytes: SharedBytes([7]))
        writer.put(text: "ä")
        #expect(writer.bytes[1...2] == [0x02, 0x01])

        var reader = ByteReader(writer.bytes)
        #expect(try reader.u8() == 0xFE)
        #expect(try reader.u16() == 0x0102)
        #expect(try reader.u32() == 0x0102_0304)
        #expect(try reader.u64() == .max - 1)
        #expect(try reader.i32() == -2)
        #expect(try reader.i64() == .min)
        #expect(try reader.u16BE() == 0x0102)
        #expect(try reader.u32BE() == 0x0102_0304)
        #expect(try reader.u64BE() == 0x0102_0304_0506_0708)
        #expect(try reader.i64BE() == -3)
        #expect(try reader.bytes(2).array == [5, 6])
        #expect(try reader.array(1) == [7])
        #expect(throws: BytesError.trailingBytes(2)) { try reader.finish() }
        #expect(try reader.text(2) == "ä")
        #expect(reader.remaining == 0 && reader.offset == writer.bytes.count)
        try reader.finish()
    }

    @Test func everyIntegerOfItsLengthSurvives() throws {
        for shift in 0..<64 {
            for value in [UInt64(1) << shift, (UInt64(1) << shift) - 1, .max >> shift] {
                let signed = Int64(bitPattern: value)
                var writer = ByteWriter()
                writer.put(uvarint: value)
                writer.put(varint: signed)
                writer.put(varint: 0 &- signed)
                var reader = ByteReader(writer.bytes)
                #expect(try reader.uvarint() == value)
                #expect(try reader.varint() == signed)
                #expect(try reader.varint() == 0 &- signed)
                try reader.finish()
            }
        }
    }

    @Test func zigZagIsTheKnownOne() {
        for (value, bytes) in [(0, [0]), (-1, [1]), (1, [2]), (-64, [0x7F]), (64, [0x80, 1])]
            as [(Int64, [UInt8])]
        {
            var writer = ByteWriter()
            writer.put(varint: value)
            #expect(writer.bytes == bytes)
        }
    }

    @Test(
        arguments: [
            ([], .truncated), ([0x80], .truncated), ([UInt8](repeating: 0xFF, count: 9), .truncated),
            ([0x80, 0x00], .overlong), ([0xFF, 0x80, 0x00], .overlong),
            ([UInt8](repeating: 0xFF, count: 9) + [0x02], .overlong),
            ([UInt8](repeating: 0x80, count: 9) + [0x81, 0x00], .overlong),
            ([UInt8](repeating: 0x80, count: 40), .overlong),
        ] as [([UInt8], BytesError)])
    func badVarintsAreRefused(_ bytes: [UInt8], _ error: BytesError) {
        var reader = ByteReader(bytes)
        #expect(throws: error) { try reader.uvarint() }
        #expect(reader.offset == 0)
    }

    @Test func longFormsAreReadWhereAllowed() throws {
        var reader = ByteReader([0x81, 0x80, 0x00])
        #expect(try reader.uvarint(minimal: false) == 1)
    }

    @Test func lengthsBeyondTheInputAreRefused() throws {
        for count in [4, Int.max, -1, Int.min] {
            var reader = ByteReader([1, 2, 3])
            #expect(throws: BytesError.truncated) { try reader.bytes(count) }
            #expect(throws: BytesError.truncated) { try reader.array(count) }
            #expect(throws: BytesError.truncated) { try reader.text(count) }
            #expect(reader.offset == 0)
        }
        var reader = ByteReader([1, 2, 3])
        #expect(throws: BytesError.truncated) { try reader.bytes(UInt64.max) }
        #expect(throws: BytesError.truncated) { try reader.u32() }
        #expect(throws: BytesError.truncated) { try reader.u64BE() }
        #expect(try reader.u16() == 0x0201)
    }

    @Test func onlyUTF8IsText() {
        for bytes in [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] as [[UInt8]] {
            var reader = ByteReader(bytes)
            #expect(throws: BytesError.invalid("UTF-8")) { try reader.text(bytes.count) }
        }
    }
}
