/// A pattern of LIKE or GLOB, compared with a text as SQLite's `patternCompare` does it: what stands between two wildcards
/// for any text is looked for from left to right, and never again further on. Each comparison is charged; there are at
/// most as many as characters of the text times those of such a piece.
struct Pattern {
    /// The characters that stand for others; 0 for none.
    struct Wildcards {
        /// Stands for any text.
        var all: UInt32
        /// Stands for any character.
        var one: UInt32
        /// Begins a set of characters, or takes the next one's meaning away.
        var other: UInt32 = 0
        var hasSets = false
        var ignoresCase = false

        /// `LIKE`, without ESCAPE.
        static let like = Wildcards(all: 0x25, one: 0x5F, ignoresCase: true)
        /// `GLOB`.
        static let glob = Wildcards(all: 0x2A, one: 0x3F, other: 0x5B, hasSets: true)

        /// With a character of ESCAPE, which then is no wildcard.
        func escaped(by character: UInt32) -> Wildcards {
            var wildcards = self
            wildcards.other = character
            if all == character { wildcards.all = 0 }
            if one == character { wildcards.one = 0 }
            return wildcards
        }
    }

    /// What follows from a part of the pattern.
    private enum Step {
        case goOn
        case mismatch
        case end(Bool)
    }

    /// Where to go on when what follows a wildcard for any text does not fit.
    private struct Resumption {
        /// After the character that is looked for, or at a set.
        let pattern: UTF8Cursor
        /// The character; nil for a set.
        let character: UInt32?
        var text: UTF8Cursor
    }

    /// Comparisons that are charged at a time.
    private static let stride = 512
    /// Bytes that are searched at a time.
    private static let searchStride = 4_096

    private let wildcards: Wildcards
    private let call: FunctionCall
    private var pattern: UTF8Cursor
    private var text: UTF8Cursor
    private var resumption: Resumption?
    /// Comparisons that are not charged yet.
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

    /// Whether the pattern fits the whole text.
    mutating func fits() throws(FunctionFailure) -> Bool {
        let fits = try compare()
        try call.charge(due, at: FunctionPrices.comparison)
        return fits
    }

    private mutating func compare() throws(FunctionFailure) -> Bool {
        while true {
            try count(1)
            switch try step() {
            case .goOn: continue
            case .end(let fits): return fits
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

    /// Compares the pattern's next character.
    private mutating func step() throws(FunctionFailure) -> Step {
        var expected = pattern.read()
        if expected == 0 { return text.isAtEnd ? .end(true) : .mismatch }
        if expected == wildcards.all { return try passWildcards() }
        var isEscaped = false
        if expected == wildcards.other {
            if wildcards.hasSets { return try fitsSet() ? .goOn : .mismatch }
            expected = pattern.read()
            if expected == 0 { return .mismatch }
            isEscaped = true
        }
        let found = text.read()
        if found == expected { return .goOn }
        if wildcards.ignoresCase, let folded = Self.folded(expected), folded == Self.folded(found) {
            return .goOn
        }
        return expected == wildcards.one && !isEscaped && found != 0 ? .goOn : .mismatch
    }

    /// Goes on after a wildcard for any text, with all others beside it; what follows is to be looked for.
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

    /// Goes on at the next place where what follows the last wildcard for any text may begin; false if there is none.
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

    /// Moves behind the next such character; false if there is none.
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
                // A byte of a search takes less than a comparison.
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

    /// Compares with a set, after whose bracket the pattern stands.
    private mutating func fitsSet() throws(FunctionFailure) -> Bool {
        let character = text.read()
        if character == 0 { return false }
        var isSeen = false
        var isInverted = false
        /// The character before, which may begin a range.
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

    /// An ASCII character with its letters in lower case; nil for others.
    private static func folded(_ character: UInt32) -> UInt32? {
        guard character < 0x80 else { return nil }
        return (0x41...0x5A).contains(character) ? character | 0x20 : character
    }
}
