/// Text or bytes from outside, made safe for a terminal or a log line: printable UTF-8 on one line, from
/// which the original can be recovered.
///
/// Escapes characters that a terminal interprets (control characters, writing direction), that are invisible
/// or look like an ordinary space, or that are unassigned, and every byte that is not valid UTF-8. Also
/// escapes combining marks and characters with a second spelling, so that `é` as one character and as two
/// look different.
///
/// | escape | stands for |
/// | --- | --- |
/// | `\\` `\n` `\r` `\t` | backslash, line feed, carriage return, tab |
/// | `\x1b` | any other ASCII control character, or a byte that is not valid UTF-8 |
/// | `\u{202e}` | a non-ASCII character |
public struct EscapedText: Sendable, Hashable, CustomStringConvertible {
    /// The escaped text's bytes.
    public let utf8: [UInt8]

    /// Escapes bytes that should be UTF-8.
    public init(_ bytes: some Sequence<UInt8>) {
        var out: [UInt8] = []
        let isDone: Void? = bytes.withContiguousStorageIfAvailable { Self.append($0.span, to: &out) }
        if isDone == nil { Self.append(Array(bytes).span, to: &out) }
        utf8 = out
    }

    /// Escapes text.
    public init(_ text: String) { self.init(text.utf8) }

    /// The escaped text.
    public var description: String { String(decoding: utf8, as: UTF8.self) }

    /// Appends the escaped bytes to `out`.
    public static func append(_ bytes: Span<UInt8>, to out: inout [UInt8]) {
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte >= 0x20, byte < 0x7F {
                if byte == UInt8(ascii: "\\") { out.append(byte) }
                out.append(byte)
                index &+= 1
            } else if byte < 0x80 {
                append(control: byte, to: &out)
                index &+= 1
            } else if let (scalar, length) = decode(bytes, index) {
                if isShown(scalar) {
                    for offset in 0..<length { out.append(bytes[index &+ offset]) }
                } else {
                    out.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".utf8)
                }
                index &+= length
            } else {
                append(hex: byte, to: &out)
                index &+= 1
            }
        }
    }

    private static func append(control byte: UInt8, to out: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\n"): out.append(contentsOf: #"\n"#.utf8)
        case UInt8(ascii: "\r"): out.append(contentsOf: #"\r"#.utf8)
        case UInt8(ascii: "\t"): out.append(contentsOf: #"\t"#.utf8)
        default: append(hex: byte, to: &out)
        }
    }

    private static func append(hex byte: UInt8, to out: inout [UInt8]) {
        out.append(contentsOf: #"\x"#.utf8)
        for digit in [byte >> 4, byte & 0xF] {
            out.append(digit < 10 ? UInt8(ascii: "0") &+ digit : UInt8(ascii: "a") &+ digit &- 10)
        }
    }

    /// Returns the non-ASCII character that begins at `index` and its length in bytes, or nil if the bytes
    /// are not UTF-8 (Unicode, table 3-7).
    private static func decode(_ bytes: Span<UInt8>, _ index: Int) -> (Unicode.Scalar, Int)? {
        let first = bytes[index]
        let (length, second): (Int, ClosedRange<UInt8>)
        switch first {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xE1...0xEC, 0xEE, 0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return nil
        }
        guard bytes.count &- index >= length, second.contains(bytes[index &+ 1]) else { return nil }
        var value = UInt32(first) & (0x7F >> UInt32(length))
        for offset in 1..<length {
            let byte = bytes[index &+ offset]
            guard byte & 0xC0 == 0x80 else { return nil }
            value = value << 6 | UInt32(byte & 0x3F)
        }
        guard let scalar = Unicode.Scalar(value) else { return nil }
        return (scalar, length)
    }

    /// Returns whether a non-ASCII character is visible and cannot be mistaken for another.
    private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        // Marks on Latin, Greek and Cyrillic letters and on kana, and the parts of Hangul syllables: together
        // with the letter before, they look like one equivalent character.
        case 0x0300...0x036F, 0x1AB0...0x1AFF, 0x1DC0...0x1DFF, 0x20D0...0x20FF, 0xFE20...0xFE2F,
            0x3099...0x309A, 0x1160...0x11FF, 0xD7B0...0xD7FF:
            return false
        // Braille without a dot.
        case 0x2800: return false
        default: break
        }
        let properties = scalar.properties
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default:
            return !properties.isDefaultIgnorableCodePoint && !properties.isFullCompositionExclusion
        }
    }
}
