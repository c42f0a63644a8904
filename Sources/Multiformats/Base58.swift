import Bytes

/// Base58 text in the Bitcoin alphabet (multibase `z`, base58btc).
public enum Base58 {
    /// Longest text that is decoded. The work grows with the square of the length, and the longest value of
    /// this node, a peer ID, has 52 characters.
    public static let textLimit = 128

    private static let alphabet: [UInt8] = Array(
        "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".utf8)

    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 0xFF, count: 256)
        for (value, unit) in alphabet.enumerated() { table[Int(unit)] = UInt8(value) }
        return table
    }()

    /// The text of `source`; leading zero bytes become leading `1`s.
    public static func encode(_ source: some ByteSource) -> String {
        source.withUnsafeBytes { bytes in
            let zeros = bytes.prefix { $0 == 0 }.count
            var digits: [UInt8] = []  // base 58, least significant first
            for byte in bytes.dropFirst(zeros) {
                var carry = UInt32(byte)
                for index in digits.indices {
                    carry &+= UInt32(digits[index]) &<< 8
                    digits[index] = UInt8(truncatingIfNeeded: carry % 58)
                    carry /= 58
                }
                while carry > 0 {
                    digits.append(UInt8(truncatingIfNeeded: carry % 58))
                    carry /= 58
                }
            }
            var text = [UInt8](repeating: alphabet[0], count: zeros)
            for digit in digits.reversed() { text.append(alphabet[Int(digit)]) }
            return String(decoding: text, as: UTF8.self)
        }
    }

    /// The bytes of a text of at most `textLimit` characters.
    public static func decode(_ text: some StringProtocol) throws(BytesError) -> [UInt8] {
        let units = text.utf8
        guard units.count <= textLimit else { throw .tooLarge(units.count, limit: textLimit) }
        let zeros = units.prefix { $0 == alphabet[0] }.count
        var bytes: [UInt8] = []  // base 256, least significant first
        for unit in units.dropFirst(zeros) {
            let value = values[Int(unit)]
            guard value < 58 else { throw .invalid("base58") }
            var carry = UInt32(value)
            for index in bytes.indices {
                carry &+= UInt32(bytes[index]) &* 58
                bytes[index] = UInt8(truncatingIfNeeded: carry)
                carry &>>= 8
            }
            while carry > 0 {
                bytes.append(UInt8(truncatingIfNeeded: carry))
                carry &>>= 8
            }
        }
        return [UInt8](repeating: 0, count: zeros) + bytes.reversed()
    }
}
