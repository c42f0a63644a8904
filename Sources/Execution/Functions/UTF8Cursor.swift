/// Reads a text's characters as SQLite does: up to the first NUL, and what is not UTF-8 by rules of its own, on which
/// results of LIKE, length and others depend.
struct UTF8Cursor {
    private let bytes: UnsafeBufferPointer<UInt8>
    /// Bytes before the next character.
    private(set) var offset = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Whether all characters are read.
    var isAtEnd: Bool { next == 0 }

    /// The next byte; 0 at the end.
    var next: UInt8 { offset < bytes.count ? bytes[offset] : 0 }

    /// Reads a character; 0 at the end.
    mutating func read() -> UInt32 {
        if isAtEnd { return 0 }
        let first = bytes[offset]
        offset += 1
        guard first >= 0xC0 else { return UInt32(first) }
        var character = Self.start(first)
        while offset < bytes.count, bytes[offset] & 0xC0 == 0x80 {
            character = (character << 6) &+ UInt32(bytes[offset] & 0x3F)
            offset += 1
        }
        let isInvalid =
            character < 0x80 || character & 0xFFFF_F800 == 0xD800 || character & 0xFFFF_FFFE == 0xFFFE
        return isInvalid ? 0xFFFD : character
    }

    /// Passes over a character; false at the end.
    @discardableResult
    mutating func skip() -> Bool {
        if isAtEnd { return false }
        let first = bytes[offset]
        offset += 1
        guard first >= 0xC0 else { return true }
        while offset < bytes.count, bytes[offset] & 0xC0 == 0x80 { offset += 1 }
        return true
    }

    /// Passes over at most so many characters, and answers how many there were.
    @discardableResult
    mutating func skip(atMost count: Int) -> Int {
        var skipped = 0
        while skipped < count {
            if count - skipped >= 8, hasEightASCII {
                offset += 8
                skipped += 8
            } else if skip() {
                skipped += 1
            } else {
                break
            }
        }
        return skipped
    }

    /// Passes over the bytes before one of these two, at most so many; whether there is one.
    mutating func skip(to first: UInt8, or second: UInt8, atMost count: Int) -> Bool {
        let end = min(bytes.count, offset + count)
        while offset < end {
            let byte = bytes[offset]
            if byte == first || byte == second { return true }
            if byte == 0 { return false }
            offset += 1
        }
        return false
    }

    /// Bits of a character's first byte, from 0xC0.
    private static func start(_ byte: UInt8) -> UInt32 {
        switch byte {
        case ..<0xE0: UInt32(byte & 0x1F)
        case ..<0xF0: UInt32(byte & 0x0F)
        case ..<0xF8: UInt32(byte & 0x07)
        case ..<0xFC: UInt32(byte & 0x03)
        case 0xFD: 1
        default: 0
        }
    }

    /// Whether the next eight bytes are characters each.
    private var hasEightASCII: Bool {
        guard bytes.count - offset >= 8 else { return false }
        let word = UnsafeRawBufferPointer(bytes).loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let ones: UInt64 = 0x0101_0101_0101_0101
        return (word | (word &- ones) & ~word) & (ones << 7) == 0
    }
}
