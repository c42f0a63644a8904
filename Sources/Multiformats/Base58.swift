import Bytes

/// Base58 text in the Bitcoin alphabet (multibase `z`, base58btc).
public enum Base58 {
    /// The longest text to decode, in characters. The work grows with the square of the length, and the
    /// longest value in use, a peer ID, has 52 characters.
    public static let textLimit = 128

    private static let alphabet: [UInt8] = Array(
        "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".utf8)

    /// Returns the text of `source`; leading zero bytes become leading `1`s.
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

    /// Returns the bytes of a text of at most `textLimit` characters.
    public static func decode(_ text: some StringProtocol) throws(BytesError) -> [UInt8] {
        let units = text.utf8
        guard units.count <= textLimit else { throw .tooLarge(units.count, limit: textLimit) }
        guard let bytes = Multibase.bytes(ofDigits: units, alphabet: alphabet) else {
            throw .invalid("base58")
        }
        return bytes
    }
}
