/// Locates errors in a JSON text, because simdjson reports that a text is wrong but not where. Accepts what
/// both RFC 8259 and simdjson accept, token by token, without recursion.
struct JSONSyntax {
    private enum Token {
        case value, text, open(UInt8), close(UInt8), comma, colon, other, end
    }

    /// What the grammar allows next.
    private enum Expected {
        case value, valueOrEnd, name, nameOrEnd, colon, commaOrEnd, end
    }

    private struct Wrong: Error {
        let offset: Int
        let reason: JSONError.Reason

        init(_ offset: Int, _ reason: String) {
            self.init(offset, .syntax(reason))
        }

        init(_ offset: Int, _ reason: JSONError.Reason) {
            self.offset = offset
            self.reason = reason
        }
    }

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Returns the first error in a text that simdjson rejected.
    static func error(in bytes: UnsafeRawBufferPointer, depth: Int) -> JSONError {
        var syntax = JSONSyntax(bytes)
        do throws(Wrong) {
            try syntax.check(depth: depth)
        } catch {
            return JSONError(error.reason, position: position(at: error.offset, in: bytes))
        }
        return JSONError(.syntax("cannot be parsed"))
    }

    /// Returns the position of the value or name that follows `ordinal` others, in a text that simdjson
    /// accepted.
    static func position(ofValue ordinal: Int, in bytes: UnsafeRawBufferPointer) -> JSONError.Position? {
        var syntax = JSONSyntax(bytes)
        var seen = 0
        while true {
            syntax.skipBlanks()
            let start = syntax.position
            guard let token = try? syntax.token() else { return nil }
            switch token {
            case .value, .text, .open:
                if seen == ordinal { return position(at: start, in: bytes) }
                seen &+= 1
            case .end, .other: return nil
            case .close, .comma, .colon: break
            }
        }
    }

    private static func position(at offset: Int, in bytes: UnsafeRawBufferPointer) -> JSONError.Position {
        var line = 1
        var column = 1
        for byte in bytes.prefix(offset) {
            if byte == 0x0A {
                line &+= 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column &+= 1
            }
        }
        return JSONError.Position(line: line, column: column, offset: offset)
    }

    // MARK: Grammar

    private mutating func check(depth: Int) throws(Wrong) {
        var open: [UInt8] = []
        var expected = Expected.value
        while true {
            skipBlanks()
            let start = position
            let token = try token()
            switch token {
            case .value, .text, .open:
                // Empty arrays and objects do not count.
                guard open.count <= depth else { throw Wrong(start, .tooDeep(limit: depth)) }
            default: break
            }
            switch (token, expected) {
            case (.end, .end): return
            case (.value, .value), (.value, .valueOrEnd), (.text, .value), (.text, .valueOrEnd):
                expected = open.isEmpty ? .end : .commaOrEnd
            case (.open(let bracket), .value), (.open(let bracket), .valueOrEnd):
                open.append(bracket)
                expected = bracket == UInt8(ascii: "{") ? .nameOrEnd : .valueOrEnd
            case (.text, .name), (.text, .nameOrEnd): expected = .colon
            case (.colon, .colon): expected = .value
            case (.comma, .commaOrEnd): expected = open.last == UInt8(ascii: "{") ? .name : .value
            case (.close(let bracket), .commaOrEnd), (.close(let bracket), .nameOrEnd),
                (.close(let bracket), .valueOrEnd):
                // In ASCII, a closing bracket comes two after its opening one.
                guard open.last == bracket &- 2 else { throw wrong(start, expected, open.last) }
                open.removeLast()
                expected = open.isEmpty ? .end : .commaOrEnd
            default: throw wrong(start, expected, open.last)
            }
        }
    }

    private func wrong(_ offset: Int, _ expected: Expected, _ open: UInt8?) -> Wrong {
        let close = open == UInt8(ascii: "{") ? "\"}\"" : "\"]\""
        let wanted =
            switch expected {
            case .value: "a value"
            case .valueOrEnd: "a value or \"]\""
            case .name: "a quoted name"
            case .nameOrEnd: "a quoted name or \"}\""
            case .colon: "\":\""
            case .commaOrEnd: "\",\" or \(close)"
            case .end: "the end"
            }
        return Wrong(offset, "expected \(wanted)\(offset >= bytes.count ? ", found the end" : "")")
    }

    // MARK: Tokens

    private mutating func skipBlanks() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position &+= 1 }
    }

    private mutating func token() throws(Wrong) -> Token {
        guard position < bytes.count else { return .end }
        let byte = bytes[position]
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            position &+= 1
            return .open(byte)
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            position &+= 1
            return .close(byte)
        case UInt8(ascii: ","):
            position &+= 1
            return .comma
        case UInt8(ascii: ":"):
            position &+= 1
            return .colon
        case UInt8(ascii: "\""):
            try text()
            return .text
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try number()
            return .value
        default:
            return try literal()
        }
    }

    private mutating func literal() throws(Wrong) -> Token {
        for word in ["true", "false", "null"] as [StaticString] {
            let count = word.utf8CodeUnitCount
            guard bytes.count - position >= count,
                (0..<count).allSatisfy({ bytes[position + $0] == word.utf8Start[$0] })
            else { continue }
            let start = position
            position += count
            guard isAtDelimiter else { throw Wrong(start, "not true, false or null") }
            return .value
        }
        if position == 0, bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
            throw Wrong(0, "begins with a byte order mark")
        }
        return .other
    }

    private mutating func number() throws(Wrong) {
        let start = position
        if bytes[position] == UInt8(ascii: "-") { position &+= 1 }
        let whole = digits()
        let hasZero = whole > 1 && bytes[position - whole] == UInt8(ascii: "0")
        guard whole > 0, !hasZero else { throw Wrong(start, "an invalid number") }
        var isWhole = true
        if peek == UInt8(ascii: ".") {
            isWhole = false
            position &+= 1
            guard digits() > 0 else { throw Wrong(start, "a number without digits after its point") }
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            isWhole = false
            position &+= 1
            if peek == UInt8(ascii: "-") || peek == UInt8(ascii: "+") { position &+= 1 }
            guard digits() > 0 else { throw Wrong(start, "a number without digits in its exponent") }
        }
        guard isAtDelimiter else { throw Wrong(start, "an invalid number") }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole {
            guard Int64(text) != nil || UInt64(text) != nil else {
                throw Wrong(start, "an integer beyond 64 bits")
            }
        } else if Double(text)?.isFinite != true {
            throw Wrong(start, "a number beyond the range of a double")
        }
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// Whether a number or literal may end here.
    private var isAtDelimiter: Bool {
        guard let byte = peek else { return true }
        return " \t\n\r,:]}{[\"".utf8.contains(byte)
    }

    private mutating func digits() -> Int {
        let start = position
        while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position &+= 1 }
        return position - start
    }

    private mutating func text() throws(Wrong) {
        let start = position
        position &+= 1
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                position &+= 1
                return
            case UInt8(ascii: "\\"): try escape()
            case 0..<0x20: throw Wrong(position, "an unescaped control character")
            case 0..<0x80: position &+= 1
            default: try scalar()
            }
        }
        throw Wrong(start, "an unterminated string")
    }

    private mutating func escape() throws(Wrong) {
        let start = position
        position &+= 1
        switch peek {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position &+= 1
        case UInt8(ascii: "u"):
            let unit = try codeUnit(start)
            guard unit & 0xF800 == 0xD800 else { return }
            guard unit < 0xDC00, peek == UInt8(ascii: "\\"), position + 1 < bytes.count,
                bytes[position + 1] == UInt8(ascii: "u")
            else { throw Wrong(start, "an unpaired surrogate") }
            position &+= 1
            guard try codeUnit(start) & 0xFC00 == 0xDC00 else { throw Wrong(start, "an unpaired surrogate") }
        default: throw Wrong(start, "an invalid escape")
        }
    }

    /// Reads the four digits after `\u`; `position` is at the u.
    private mutating func codeUnit(_ start: Int) throws(Wrong) -> UInt16 {
        position &+= 1
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw Wrong(start, "an escape without four hexadecimal digits")
            }
            unit = unit &<< 4 | UInt16(digit)
            position &+= 1
        }
        return unit
    }

    /// Skips a scalar of more than one byte.
    private mutating func scalar() throws(Wrong) {
        var rest = bytes[position...].prefix(4).makeIterator()
        var parser = Unicode.UTF8.ForwardParser()
        guard case .valid(let encoded) = parser.parseScalar(from: &rest) else {
            throw Wrong(position, "not UTF-8")
        }
        position &+= encoded.count
    }
}
