/// A pattern of LIKE or GLOB, matched against a text with the results of SQLite's `patternCompare`.
///
/// Each piece between two wildcards for any text is searched once, from left to right. Every comparison is charged;
/// their number is at most the characters of the text times those of the longest piece.
struct Pattern {
    /// The special characters of a pattern; 0 for none.
    struct Wildcards {
        /// Matches any text.
        var all: UInt32
        /// Matches any character.
        var one: UInt32
        /// Starts a set of characters, or escapes the next character.
        var other: UInt32 = 0
        var hasSets = false
        var ignoresCase = false

        /// `LIKE`, without ESCAPE.
        static let like = Wildcards(all: 0x25, one: 0x5F, ignoresCase: true)
        /// `GLOB`.
        static let glob = Wildcards(all: 0x2A, one: 0x3F, other: 0x5B, hasSets: true)

        /// Returns these wildcards with an ESCAPE character, which is then not a wildcard.
        func escaped(by character: UInt32) -> Wildcards {
            var wildcards = self
            wildcards.other = character
            if all == character { wildcards.all = 0 }
            if one == character { wildcards.one = 0 }
            return wildcards
        }
    }

    /// The outcome of comparing one character of the pattern.
    private enum Step {
        case match
        case mismatch
        case end(Bool)
    }

    /// Where to resume when the rest of the pattern after a wildcard for any text does not match.
    private struct Resumption {
        /// The position after the character to search for, or at a set.
        let pattern: UTF8Cursor
        /// The character; nil for a set.
        let character: UInt32?
        var text: UTF8Cursor
    }

    /// The number of comparisons charged at a time.
    private static let stride = 512
    /// The number of bytes searched at a time.
    private static let searchStride = 4_096

    private let wildcards: Wildcards
    private let call: FunctionCall
    private var pattern: UTF8Cursor
    private var text: UTF8Cursor
    private var resumption: Resumption?
    /// The number of comparisons not charged yet.
    private var due = 0

    init(
        _ pattern: UnsafeBufferPointer<UInt8>, _ text: UnsafeBufferPointer<UInt8>, _ wildcards: Wildcards,
        _ call: FunctionCall
    ) {
        self.pattern = UTF8Cursor(pattern)
        self.text = UTF8Cursor(text)
        self.wildcards = wildcards
        self.call = call
    }

    /// Returns whether the pattern matches the whole text.
    mutating func matches() throws(FunctionFailure) -> Bool {
        let matches = try compare()
        try call.charge(due, at: FunctionPrices.comparison)
        return matches
    }

    private mutating func compare() throws(FunctionFailure) -> Bool {
        while true {
            try count(1)
            switch try step() {
            case .match: continue
            case .end(let matches): return matches
            case .mismatch: guard try resume() else { return false }
            }
        }
    }

    private mutating func count(_ comparisons: Int) throws(FunctionFailure) {
        due += comparisons
        if due >= Self.stride {
            try call.charge(due, at: FunctionPrices.comparison)
            due = 0
        }
    }

    /// Compares the next character of the pattern.
    private mutating func step() throws(FunctionFailure) -> Step {
        var expected = pattern.read()
        if expected == 0 { return text.isAtEnd ? .end(true) : .mismatch }
        if expected == wildcards.all { return try passWildcards() }
        var isEscaped = false
        if expected == wildcards.other {
            if wildcards.hasSets { return try matchesSet() ? .match : .mismatch }
            expected = pattern.read()
            if expected == 0 { return .mismatch }
            isEscaped = true
        }
        let found = text.read()
        if found == expected { return .match }
        if wildcards.ignoresCase, let folded = Self.folded(expected), folded == Self.folded(found) {
            return .match
        }
        return expected == wildcards.one && !isEscaped && found != 0 ? .match : .mismatch
    }

    /// Skips a wildcard for any text and the wildcards after it, and prepares to search for what follows.
    private mutating func passWildcards() throws(FunctionFailure) -> Step {
        var before = pattern
        var next = pattern.read()
        while next != 0, next == wildcards.all || next == wildcards.one {
            try count(1)
            if next == wildcards.one, text.read() == 0 { return .end(false) }
            before = pattern
            next = pattern.read()
        }
        if next == 0 { return .end(true) }
        if next == wildcards.other {
            if wildcards.hasSets {
                resumption = Resumption(pattern: before, character: nil, text: text)
                return .mismatch
            }
            next = pattern.read()
            if next == 0 { return .end(false) }
        }
        resumption = Resumption(pattern: pattern, character: next, text: text)
        return .mismatch
    }

    /// Resumes at the next position in the text where the rest of the pattern could match; returns false if there is
    /// none.
    private mutating func resume() throws(FunctionFailure) -> Bool {
        guard var next = resumption else { return false }
        if let character = next.character {
            guard try search(character, &next.text) else { return false }
            text = next.text
        } else {
            text = next.text
            guard next.text.skip() else { return false }
        }
        pattern = next.pattern
        resumption = next
        return true
    }

    /// Advances past the next occurrence of a character; returns false if there is none.
    private mutating func search(
        _ character: UInt32, _ text: inout UTF8Cursor
    ) throws(FunctionFailure) -> Bool {
        if let folded = Self.folded(character) {
            let lower = UInt8(truncatingIfNeeded: wildcards.ignoresCase ? folded : character)
            let hasCase = wildcards.ignoresCase && (0x61...0x7A).contains(folded)
            while !text.isAtEnd {
                let start = text.offset
                let isFound = text.skip(
                    to: lower, or: hasCase ? lower & 0xDF : lower, atMost: Self.searchStride)
                // Searching a byte takes less time than a comparison.
                try count(1 + (text.offset - start) / 2)
                if isFound { return text.skip() }
            }
            return false
        }
        while !text.isAtEnd {
            try count(1)
            if text.read() == character { return true }
        }
        return false
    }

    /// Matches a character against a set, whose opening bracket has been read.
    private mutating func matchesSet() throws(FunctionFailure) -> Bool {
        let character = text.read()
        if character == 0 { return false }
        var isSeen = false
        var isInverted = false
        /// The previous character, which may start a range.
        var prior: UInt32 = 0
        var next = pattern.read()
        if next == 0x5E {
            isInverted = true
            next = pattern.read()
        }
        if next == 0x5D {
            if character == 0x5D { isSeen = true }
            next = pattern.read()
        }
        while next != 0, next != 0x5D {
            try count(1)
            if next == 0x2D, pattern.next != 0x5D, pattern.next != 0, prior > 0 {
                next = pattern.read()
                if character >= prior, character <= next { isSeen = true }
                prior = 0
            } else {
                if character == next { isSeen = true }
                prior = next
            }
            next = pattern.read()
        }
        return next != 0 && isSeen != isInverted
    }

    /// Returns an ASCII character in lower case; nil for other characters.
    private static func folded(_ character: UInt32) -> UInt32? {
        guard character < 0x80 else { return nil }
        return (0x41...0x5A).contains(character) ? character | 0x20 : character
    }
}
