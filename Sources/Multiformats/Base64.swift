import Bytes

/// Base64 with padding (RFC 4648, section 4).
public enum Base64 {
    private static let digits: StaticString =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// The value of each byte as a digit; 64 if it is not one.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 64, count: 256)
        for value in 0..<64 { values[Int(digits.utf8Start[value])] = UInt8(value) }
        return values
    }()

    /// Appends the text of `source`: four characters per three bytes, rounded up.
    public static func append(_ source: UnsafeRawBufferPointer, to text: inout [UInt8]) {
        let digits = digits.utf8Start
        let start = text.count
        let count = (source.count + 2) / 3 * 4
        text.append(contentsOf: repeatElement(UInt8(ascii: "="), count: count))
        text.withUnsafeMutableBufferPointer { text in
            var position = start
            var index = 0
            while index &+ 2 < source.count {
                let bits =
                    UInt32(source[index]) &<< 16 | UInt32(source[index &+ 1]) &<< 8
                    | UInt32(source[index &+ 2])
                text[position] = digits[Int(bits &>> 18)]
                text[position &+ 1] = digits[Int(bits &>> 12 & 63)]
                text[position &+ 2] = digits[Int(bits &>> 6 & 63)]
                text[position &+ 3] = digits[Int(bits & 63)]
                index &+= 3
                position &+= 4
            }
            guard index < source.count else { return }
            let hasTwo = index &+ 1 < source.count
            let bits = UInt32(source[index]) &<< 16 | (hasTwo ? UInt32(source[index &+ 1]) &<< 8 : 0)
            text[position] = digits[Int(bits &>> 18)]
            text[position &+ 1] = digits[Int(bits &>> 12 & 63)]
            if hasTwo { text[position &+ 2] = digits[Int(bits &>> 6 & 63)] }
        }
    }

    /// Decodes `text` strictly: whole groups of four digits, padding only at the end, no other characters,
    /// and all bits left over by the padding zero.
    public static func decode(_ text: some ByteSource) throws(BytesError) -> [UInt8] {
        guard let bytes = text.withUnsafeBytes(decoded) else { throw .invalid("base64") }
        return bytes
    }

    private static func decoded(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        guard text.count > 0 else { return [] }
        let padding =
            text[text.count &- 1] != UInt8(ascii: "=")
            ? 0 : text[text.count &- 2] != UInt8(ascii: "=") ? 1 : 2
        let whole = padding == 0 ? text.count : text.count &- 4
        let values = values
        var isValid = true
        let bytes = [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3) { bytes, count in
            var position = 0
            while position < whole {
                let (a, b) = (values[Int(text[position])], values[Int(text[position &+ 1])])
                let (c, d) = (values[Int(text[position &+ 2])], values[Int(text[position &+ 3])])
                guard (a | b | c | d) < 64 else {
                    isValid = false
                    return
                }
                let bits = UInt32(a) &<< 18 | UInt32(b) &<< 12 | UInt32(c) &<< 6 | UInt32(d)
                bytes[count] = UInt8(truncatingIfNeeded: bits &>> 16)
                bytes[count &+ 1] = UInt8(truncatingIfNeeded: bits &>> 8)
                bytes[count &+ 2] = UInt8(truncatingIfNeeded: bits)
                count &+= 3
                position &+= 4
            }
            guard padding > 0 else { return }
            let (a, b) = (values[Int(text[position])], values[Int(text[position &+ 1])])
            let c = padding == 1 ? values[Int(text[position &+ 2])] : 0
            let bits = UInt32(a) &<< 18 | UInt32(b) &<< 12 | UInt32(c) &<< 6
            guard (a | b | c) < 64, bits & (padding == 1 ? 0xFF : 0xFFFF) == 0 else {
                isValid = false
                return
            }
            bytes[count] = UInt8(truncatingIfNeeded: bits &>> 16)
            if padding == 1 { bytes[count &+ 1] = UInt8(truncatingIfNeeded: bits &>> 8) }
            count &+= 3 &- padding
        }
        return isValid ? bytes : nil
    }
}
