/// Matches a text against a pattern of LIKE or GLOB as SQLite does (https://sqlite.org/lang_expr.html#like): characters
/// are UTF-8, read leniently; both end at their first NUL; LIKE ignores the case of ASCII letters.
struct PatternMatcher {
    /// The characters that mean something; 0 for none.
    struct Syntax {
        var any: UInt32
        var one: UInt32
        var set: UInt32
        var escape: UInt32
        let ignoresCase: Bool

        static let like = Syntax(any: 0x25, one: 0x5F, set: 0, escape: 0, ignoresCase: true)
        static let glob = Syntax(any: 0x2A, one: 0x3F, set: 0x5B, escape: 0, ignoresCase: false)

        /// Makes a text's only character the one that takes the meaning of the next away; false if it has more or less.
        mutating func setEscape(_ text: UnsafeRawBufferPointer) -> Bool {
            var cursor = 0
            let character = PatternMatcher.read(text, &cursor)
            var rest = cursor
            guard character != 0, PatternMatcher.read(text, &rest) == 0 else { return false }
            escape = character
            // What takes meaning away has no other meaning.
            if character == any { any = 0 }
            if character == one { one = 0 }
            return true
        }
    }

    private enum Outcome {
        case match
        case noMatch
        /// Not from any later place either: the text does not hold what follows a wildcard.
        case nowhere
    }

    private let pattern: UnsafeRawBufferPointer
    private let text: UnsafeRawBufferPointer
    private let syntax: Syntax

    init(_ pattern: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, _ syntax: Syntax) {
        self.pattern = pattern
        self.text = text
        self.syntax = syntax
    }

    /// Whether the whole text matches; `look` is told of the bytes that are looked at, and may end it.
    mutating func match<E: Error>(_ look: (Int) throws(E) -> Void) throws(E) -> Bool {
        try match(0, 0, look) == .match
    }

    /// The character at a place, which is moved behind it; 0 at the end, or for NUL.
    private static func read(_ bytes: UnsafeRawBufferPointer, _ cursor: inout Int) -> UInt32 {
        guard cursor < bytes.count, bytes[cursor] != 0 else { return 0 }
        let first = bytes[cursor]
        cursor += 1
        guard first >= 0xC0 else { return UInt32(first) }
        // The bits that a lead byte carries, also in forms that are no longer UTF-8.
        let mask: UInt8 =
            first < 0xE0
            ? 0x1F : first < 0xF0 ? 0x0F : first < 0xF8 ? 0x07 : first < 0xFC ? 0x03 : first < 0xFE ? 0x01 : 0
        var character = UInt32(first & mask)
        while cursor < bytes.count, bytes[cursor] & 0xC0 == 0x80 {
            character = character << 6 &+ UInt32(bytes[cursor] & 0x3F)
            cursor += 1
        }
        let isInvalid =
            character < 0x80 || character & 0xFFFF_F800 == 0xD800 || character & 0xFFFF_FFFE == 0xFFFE
        return isInvalid ? 0xFFFD : character
    }

    private func isEqual(_ first: UInt32, _ second: UInt32) -> Bool {
        if first == second { return true }
        guard syntax.ignoresCase, first < 0x80, second < 0x80 else { return false }
        return Self.lower(first) == Self.lower(second)
    }

    private static func lower(_ character: UInt32) -> UInt32 {
        (0x41...0x5A).contains(character) ? character | 0x20 : character
    }

    private mutating func match<E: Error>(
        _ patternStart: Int, _ textStart: Int, _ look: (Int) throws(E) -> Void
    ) throws(E) -> Outcome {
        var (cursor, place) = (patternStart, textStart)
        while true {
            try look(1)
            var wanted = Self.read(pattern, &cursor)
            if wanted == 0 { break }
            if wanted == syntax.any { return try matchAfterWildcard(cursor, place, look) }
            if syntax.set != 0, wanted == syntax.set {
                guard try matchSet(&cursor, &place, look) else { return .noMatch }
                continue
            }
            var isLiteral = false
            if syntax.escape != 0, wanted == syntax.escape {
                wanted = Self.read(pattern, &cursor)
                if wanted == 0 { return .noMatch }
                isLiteral = true
            }
            let found = Self.read(text, &place)
            if isEqual(wanted, found) { continue }
            guard wanted == syntax.one, wanted != 0, !isLiteral, found != 0 else { return .noMatch }
        }
        return place >= text.count || text[place] == 0 ? .match : .noMatch
    }

    /// What follows a wildcard, at each place of the text from `start` on.
    private mutating func matchAfterWildcard<E: Error>(
        _ patternStart: Int, _ start: Int, _ look: (Int) throws(E) -> Void
    ) throws(E) -> Outcome {
        var (cursor, place) = (patternStart, start)
        var before = cursor
        var wanted = Self.read(pattern, &cursor)
        // More wildcards in a row; those for one character take one each.
        while wanted != 0, wanted == syntax.any || wanted == syntax.one {
            if wanted == syntax.one, Self.read(text, &place) == 0 { return .nowhere }
            before = cursor
            wanted = Self.read(pattern, &cursor)
        }
        if wanted == 0 { return .match }
        if syntax.set != 0, wanted == syntax.set {
            while place < text.count, text[place] != 0 {
                let outcome = try match(before, place, look)
                if outcome != .noMatch { return outcome }
                place += 1
                if text[place - 1] >= 0xC0 {
                    while place < text.count, text[place] & 0xC0 == 0x80 { place += 1 }
                }
            }
            return .nowhere
        }
        if syntax.escape != 0, wanted == syntax.escape {
            wanted = Self.read(pattern, &cursor)
            if wanted == 0 { return .nowhere }
        }
        while true {
            try look(1)
            let found: UInt32
            if wanted < 0x80 {
                // Bytes: an ASCII character is never part of another.
                guard place < text.count, text[place] != 0 else { return .nowhere }
                found = UInt32(text[place])
                place += 1
            } else {
                found = Self.read(text, &place)
                if found == 0 { return .nowhere }
            }
            guard wanted < 0x80 ? isEqual(wanted, found) : wanted == found else { continue }
            let outcome = try match(cursor, place, look)
            if outcome != .noMatch { return outcome }
        }
    }

    /// A set of characters in brackets, whose opening one has been read, against one character of the text.
    private func matchSet<E: Error>(
        _ cursor: inout Int, _ place: inout Int, _ look: (Int) throws(E) -> Void
    ) throws(E) -> Bool {
        let found = Self.read(text, &place)
        if found == 0 { return false }
        var (isIn, isInverted, previous) = (false, false, UInt32(0))
        var member = Self.read(pattern, &cursor)
        if member == 0x5E {
            isInverted = true
            member = Self.read(pattern, &cursor)
        }
        if member == 0x5D {
            if found == 0x5D { isIn = true }
            member = Self.read(pattern, &cursor)
        }
        while member != 0, member != 0x5D {
            try look(1)
            let next = cursor < pattern.count ? pattern[cursor] : 0
            if member == 0x2D, next != 0x5D, next != 0, previous > 0 {
                member = Self.read(pattern, &cursor)
                if found >= previous, found <= member { isIn = true }
                previous = 0
            } else {
                if found == member { isIn = true }
                previous = member
            }
            member = Self.read(pattern, &cursor)
        }
        return member != 0 && isIn != isInverted
    }
}
