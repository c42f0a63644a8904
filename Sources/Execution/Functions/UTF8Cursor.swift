/// Reads the characters of a text like SQLite: up to the first NUL, and with SQLite's own rules for invalid UTF-8, on
/// which the results of LIKE, length and others depend.
struct UTF8Cursor {
    private let bytes: UnsafeBufferPointer<UInt8>
    /// The position of the next character, in bytes.
    private(set) var offset = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Whether all characters have been read.
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

    /// Skips a character; returns false at the end.
    @discardableResult
    mutating func skip() -> Bool {
        if isAtEnd { return false }
        let first = bytes[offset]
        offset += 1
        guard first >= 0xC0 else { return true }
        while offset < bytes.count, bytes[offset] & 0xC0 == 0x80 { offset += 1 }
        return true
    }

    /// Skips up to `count` characters and returns how many there were.
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

    /// Skips up to `count` bytes until one equals `first` or `second`; returns whether it found one.
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

    /// Returns the bits that the first byte of a character, from 0xC0, contributes.
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

    /// Whether each of the next eight bytes is a character.
    private var hasEightASCII: Bool {
        guard bytes.count - offset >= 8 else { return false }
        let word = UnsafeRawBufferPointer(bytes).loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let ones: UInt64 = 0x0101_0101_0101_0101
        return (word | (word &- ones) & ~word) & (ones << 7) == 0
    }
}
