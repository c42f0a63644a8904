import Bytes

/// Reads self-describing text: a prefix that names the base, then the digits (multibase specification).
///
/// Only what a peer ID's CID may be written in: base16 (`f`, `F`), base32 (`b`, `B`), base36 (`k`, `K`) and base58btc (`z`).
public enum Multibase {
    /// Longest text that is decoded; the longest CID of a peer ID has fewer than 100 characters.
    public static let textLimit = 256

    private static let base32 = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)

    /// The bytes that `text` stands for.
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
        // What is left over has to be padding: fewer bits than a digit, all zero.
        guard count < 5, bits & ((1 &<< UInt32(count)) &- 1) == 0 else { throw .invalid("base32") }
        return bytes
    }

    private static func decodeBase36(_ text: some StringProtocol) throws(BytesError) -> [UInt8] {
        let zeros = text.utf8.prefix { $0 == UInt8(ascii: "0") }.count
        var bytes: [UInt8] = []  // base 256, least significant first
        for unit in text.utf8.dropFirst(zeros) {
            var carry: UInt32
            switch unit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): carry = UInt32(unit &- UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "z"): carry = UInt32(unit &- UInt8(ascii: "a") &+ 10)
            default: throw .invalid("base36")
            }
            for index in bytes.indices {
                carry &+= UInt32(bytes[index]) &* 36
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
