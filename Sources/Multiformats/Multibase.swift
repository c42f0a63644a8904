import Bytes

/// Decodes self-describing text: a prefix that names the base, then the digits (multibase specification).
///
/// Supports only the bases of a peer ID's CID: base16 (`f`, `F`), base32 (`b`, `B`), base36 (`k`, `K`) and
/// base58btc (`z`).
public enum Multibase {
    /// The longest text to decode, in bytes. The longest CID of a peer ID has fewer than 100 characters.
    public static let textLimit = 256

    private static let base32 = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)
    private static let base36 = Array("0123456789abcdefghijklmnopqrstuvwxyz".utf8)

    /// Returns the bytes encoded by `text`.
    public static func decode(_ text: some StringProtocol) throws(BytesError) -> [UInt8] {
        guard text.utf8.count <= textLimit else { throw .tooLarge(text.utf8.count, limit: textLimit) }
        let digits = text.dropFirst()
        switch text.first {
        case "f", "F": return try Hex.decode(digits)
        case "b": return try decodeBase32(digits)
        case "B": return try decodeBase32(RawText(String(digits)).foldedASCII.string)
        case "k": return try decodeBase36(digits)
        case "K": return try decodeBase36(RawText(String(digits)).foldedASCII.string)
        case "z": return try Base58.decode(digits)
        default: throw .invalid("multibase text")
        }
    }

    private static func decodeBase32(_ text: some StringProtocol) throws(BytesError) -> [UInt8] {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for unit in text.utf8 {
            guard let value = base32.firstIndex(of: unit) else { throw .invalid("base32") }
            bits = bits &<< 5 | UInt32(value)
            count &+= 5
            if count >= 8 {
                count &-= 8
                bytes.append(UInt8(truncatingIfNeeded: bits &>> UInt32(count)))
            }
        }
        // The remaining bits must be padding: fewer than a digit, all zero.
        guard count < 5, bits & ((1 &<< UInt32(count)) &- 1) == 0 else { throw .invalid("base32") }
        return bytes
    }

    private static func decodeBase36(_ text: some StringProtocol) throws(BytesError) -> [UInt8] {
        guard let bytes = bytes(ofDigits: text.utf8, alphabet: base36) else { throw .invalid("base36") }
        return bytes
    }

    /// Decodes a number's digits, most significant first; each leading zero digit stands for a zero byte.
    /// Returns nil if a digit is not in `alphabet`. The work grows with the square of the length.
    static func bytes(ofDigits digits: some Collection<UInt8>, alphabet: [UInt8]) -> [UInt8]? {
        let base = UInt32(alphabet.count)
        let zeros = digits.prefix { $0 == alphabet.first }.count
        var bytes: [UInt8] = []  // base 256, least significant first
        for digit in digits.dropFirst(zeros) {
            guard let value = alphabet.firstIndex(of: digit) else { return nil }
            var carry = UInt32(value)
            for index in bytes.indices {
                carry &+= UInt32(bytes[index]) &* base
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
