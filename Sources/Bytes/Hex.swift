/// Hexadecimal text: written in lower case, read in either case.
public enum Hex {
    private static let digits: [UInt8] = Array("0123456789abcdef".utf8)

    /// Returns two lower-case digits per byte.
    public static func encode(_ source: some ByteSource) -> String {
        source.withUnsafeBytes { bytes in
            String(unsafeUninitializedCapacity: bytes.count * 2) { text in
                var position = 0
                for byte in bytes {
                    text[position] = digits[Int(byte &>> 4)]
                    text[position &+ 1] = digits[Int(byte & 15)]
                    position &+= 2
                }
                return position
            }
        }
    }

    /// Appends two lower-case digits per byte.
    public static func append(_ source: UnsafeRawBufferPointer, to text: inout [UInt8]) {
        let digits = digits
        for byte in source {
            text.append(digits[Int(byte &>> 4)])
            text.append(digits[Int(byte & 15)])
        }
    }

    /// Returns the bytes of an even number of hexadecimal digits without a prefix.
    public static func decode(_ text: some StringProtocol) throws(BytesError) -> [UInt8] {
        try decode(units: text.utf8)
    }

    /// Returns the bytes of an even number of hexadecimal digits without a prefix.
    public static func decode(utf8 text: some ByteSource) throws(BytesError) -> [UInt8] {
        try text.withUnsafeBytes { text in
            Result { () throws(BytesError) in try decode(units: text) }
        }.get()
    }

    private static func decode(units: some Collection<UInt8>) throws(BytesError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(units.count / 2)
        var high: UInt8?
        for unit in units {
            let digit: UInt8
            switch unit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = unit &- UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = unit &- UInt8(ascii: "a") &+ 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = unit &- UInt8(ascii: "A") &+ 10
            default: throw .invalid("hexadecimal")
            }
            if let first = high {
                bytes.append(first &<< 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        guard high == nil else { throw .invalid("an even number of hexadecimal digits") }
        return bytes
    }
}
