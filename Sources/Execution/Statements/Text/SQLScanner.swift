import Bytes

/// Splits SQL text into tokens as SQLite does (https://sqlite.org/lang.html), as far as the checks before compilation
/// require.
struct SQLScanner {
    /// The kind of a token.
    enum Kind {
        /// A keyword, an unquoted identifier or a number.
        case word
        /// A string or a quoted identifier.
        case quoted
        /// A parameter with its sign.
        case variable
        /// One byte of punctuation.
        case punctuation(UInt8)
    }

    /// A token and its range in the text.
    struct Token {
        let kind: Kind
        let range: Range<Int>
    }

    /// The text's UTF-8 bytes.
    let bytes: [UInt8]
    private var position = 0

    init(_ text: RawText) {
        bytes = Array(text.utf8)
    }

    /// Returns the next token, skipping white space and comments; nil at the end.
    mutating func next() -> Token? {
        skipBlanks()
        guard position < bytes.count else { return nil }
        let start = position
        let byte = bytes[position]
        var kind = Kind.quoted
        switch byte {
        case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
            skipQuoted(byte)
        case UInt8(ascii: "["):
            while position < bytes.count, bytes[position] != UInt8(ascii: "]") { position += 1 }
            position = min(position + 1, bytes.count)
        case UInt8(ascii: "$"), UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "#"):
            skipVariable()
            kind = .variable
        case _ where Self.isWord(byte):
            while position < bytes.count, Self.isWord(bytes[position]) { position += 1 }
            kind = .word
        default:
            position += 1
            kind = .punctuation(byte)
        }
        return Token(kind: kind, range: start..<position)
    }

    /// Returns whether a token equals `word`, given in lower case, ignoring the case of ASCII letters.
    func isWord(_ token: Token, _ word: StaticString) -> Bool {
        bytes.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[token.range]).equalsIgnoringCase(word) }
    }

    /// Returns the name that a token denotes, without quotation marks; nil for punctuation and parameters. SQLite
    /// accepts a string as a name where its grammar allows only a name.
    func name(_ token: Token) -> RawText? {
        switch token.kind {
        case .punctuation, .variable: return nil
        case .word: return text(token)
        case .quoted:
            let quote = bytes[token.range.lowerBound]
            let inside = bytes[token.range].dropFirst().dropLast()
            if quote == UInt8(ascii: "[") { return RawText(decoding: inside) }
            var name: [UInt8] = []
            var isSecond = false
            for byte in inside {
                isSecond = byte == quote && !isSecond
                if !isSecond { name.append(byte) }
            }
            return RawText(decoding: name)
        }
    }

    /// Returns a token as written.
    func text(_ token: Token) -> RawText { RawText(decoding: bytes[token.range]) }

    /// Skips a sign and a name, which may contain `::` and end with a suffix in parentheses, even one with quotation
    /// marks.
    private mutating func skipVariable() {
        position += 1
        let start = position
        while position < bytes.count {
            if Self.isWord(bytes[position]) {
                position += 1
            } else if bytes[position...].starts(with: "::".utf8) {
                position += 2
            } else {
                break
            }
        }
        guard position > start, position < bytes.count, bytes[position] == UInt8(ascii: "(") else { return }
        while position < bytes.count, bytes[position] != UInt8(ascii: ")"), !Self.isBlank(bytes[position]) {
            position += 1
        }
        if position < bytes.count, bytes[position] == UInt8(ascii: ")") { position += 1 }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private mutating func skipQuoted(_ quote: UInt8) {
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            guard byte == quote else { continue }
            guard position < bytes.count, bytes[position] == quote else { return }
            position += 1
        }
    }

    private mutating func skipBlanks() {
        while position < bytes.count {
            let byte = bytes[position]
            let following = position + 1 < bytes.count ? bytes[position + 1] : 0
            switch (byte, following) {
            case (_, _) where Self.isBlank(byte):
                position += 1
            case (0xEF, 0xBB) where position + 2 < bytes.count && bytes[position + 2] == 0xBF:
                // SQLite skips a byte order mark before any token.
                position += 3
            case (UInt8(ascii: "-"), UInt8(ascii: "-")):
                while position < bytes.count, bytes[position] != 0x0A { position += 1 }
            case (UInt8(ascii: "/"), UInt8(ascii: "*")):
                position += 2
                while position < bytes.count {
                    if bytes[position] == UInt8(ascii: "*"), position + 1 < bytes.count,
                        bytes[position + 1] == UInt8(ascii: "/")
                    {
                        break
                    }
                    position += 1
                }
                position = min(position + 2, bytes.count)
            default:
                return
            }
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...0xFF:
            true
        default:
            false
        }
    }

    /// Returns the number of tokens in a text and the size of the longest one in bytes.
    static func measure(_ text: RawText) -> (tokens: Int, widest: Int) {
        var scanner = SQLScanner(text)
        var (tokens, widest) = (0, 0)
        while let token = scanner.next() {
            tokens += 1
            widest = max(widest, token.range.count)
        }
        return (tokens, widest)
    }

    /// Returns the offset of the parenthesis that closes the first parenthesized list.
    static func endOfFirstList(in text: RawText) -> Int? {
        var scanner = SQLScanner(text)
        var depth = 0
        while let token = scanner.next() {
            switch token.kind {
            case .punctuation(UInt8(ascii: "(")):
                depth += 1
            case .punctuation(UInt8(ascii: ")")):
                depth -= 1
                if depth == 0 { return token.range.lowerBound }
            default:
                break
            }
        }
        return nil
    }
}
