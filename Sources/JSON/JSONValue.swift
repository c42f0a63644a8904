import Bytes
import Multiformats

/// A value of a document: a cursor, cheap to copy, that keeps its document alive. Reading it as a type it
/// does not have throws an error that includes its path.
public struct JSONValue: Sendable {
    /// The types of values.
    public enum Kind: Sendable {
        case null, flag, integer, decimal, text, array, object
    }

    let document: JSONDocument
    /// The index of its word on the tape.
    let index: Int

    private var word: UInt64 { document.tape[index] }

    /// The value's type. An integer is a number without point and exponent.
    public var kind: Kind {
        switch JSONTape.kind(word) {
        case JSONTape.Kind.object: .object
        case JSONTape.Kind.array: .array
        case JSONTape.Kind.text: .text
        case JSONTape.Kind.int64, JSONTape.Kind.uint64: .integer
        case JSONTape.Kind.double: .decimal
        case JSONTape.Kind.yes, JSONTape.Kind.no: .flag
        default: .null
        }
    }

    /// Whether the value is null.
    public var isNull: Bool { JSONTape.kind(word) == JSONTape.Kind.null }

    /// Returns the string, unescaped.
    public func text() throws(JSONError) -> JSONText {
        guard JSONTape.kind(word) == JSONTape.Kind.text else { throw error("must be a string") }
        return JSONText(document: document, word: word)
    }

    /// Returns a copy of the string.
    public func string() throws(JSONError) -> String { try text().string }

    /// Returns the bytes that the string encodes in base64.
    public func base64() throws(JSONError) -> [UInt8] {
        guard let bytes = try? Base64.decode(try text()) else { throw error("must be a base64 string") }
        return bytes
    }

    /// Returns the number. Throws unless it is an integer within the type's range.
    public func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(JSONError) -> T {
        let number: T? =
            switch JSONTape.kind(word) {
            case JSONTape.Kind.int64: T(exactly: Int64(bitPattern: document.tape[index &+ 1]))
            case JSONTape.Kind.uint64: T(exactly: document.tape[index &+ 1])
            default: nil
            }
        guard let number else { throw error("must be a whole number from \(T.min) to \(T.max)") }
        return number
    }

    /// Returns the double nearest to a number of any kind.
    public func double() throws(JSONError) -> Double {
        switch JSONTape.kind(word) {
        case JSONTape.Kind.double: return Double(bitPattern: document.tape[index &+ 1])
        case JSONTape.Kind.int64: return Double(Int64(bitPattern: document.tape[index &+ 1]))
        case JSONTape.Kind.uint64: return Double(document.tape[index &+ 1])
        default: throw error("must be a number")
        }
    }

    /// Returns the boolean.
    public func flag() throws(JSONError) -> Bool {
        switch JSONTape.kind(word) {
        case JSONTape.Kind.yes: return true
        case JSONTape.Kind.no: return false
        default: throw error("must be true or false")
        }
    }

    /// Returns the array's elements.
    public func array() throws(JSONError) -> JSONArray {
        guard JSONTape.kind(word) == JSONTape.Kind.array else { throw error("must be an array") }
        return JSONArray(document: document, index: index)
    }

    /// Returns the object's members in the text's order.
    public func object() throws(JSONError) -> JSONObject {
        guard JSONTape.kind(word) == JSONTape.Kind.object else { throw error("must be an object") }
        return JSONObject(document: document, index: index)
    }

    /// Returns the object's members, to be taken by name.
    public func members() throws(JSONError) -> JSONMembers { JSONMembers(try object()) }

    /// The value's path, such as `validators[2].power`; empty for the whole document.
    public var path: String { JSONTape.path(to: index, document.tape, document.texts) }

    /// Returns an error about this value: `must be at least 1`.
    public func error(_ reason: String) -> JSONError { JSONError(.value(reason), path: path) }
}

/// A string of a document, unescaped: its UTF-8 bytes, by which it is compared, unlike Swift's strings.
public struct JSONText: Sendable, Hashable, ByteSource, CustomStringConvertible {
    private let document: JSONDocument
    private let word: UInt64

    init(document: JSONDocument, word: UInt64) {
        self.document = document
        self.word = word
    }

    /// Calls `body` with the bytes, which are valid only during the call.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        defer { withExtendedLifetime(document) {} }
        return try body(JSONTape.text(word, document.texts))
    }

    /// The number of bytes.
    public var count: Int { withUnsafeBytes { $0.count } }

    /// Whether there are none.
    public var isEmpty: Bool { count == 0 }

    /// A copy as a Swift string.
    public var string: String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }

    /// The string in quotes, for messages: truncated, with characters that would disturb a log or terminal
    /// escaped.
    public var description: String { withUnsafeBytes { JSONError.quoted($0) } }

    /// A copy of the bytes.
    public var bytes: [UInt8] { withUnsafeBytes { [UInt8]($0) } }

    /// Compares bytes.
    public static func == (left: JSONText, right: JSONText) -> Bool {
        left.withUnsafeBytes { left in right.withUnsafeBytes { JSONTape.isEqual(left, $0) } }
    }

    /// Compares bytes.
    public static func == (left: JSONText, right: String) -> Bool {
        left.withUnsafeBytes { $0.count == right.utf8.count && right.utf8.elementsEqual($0) }
    }

    /// Hashes bytes.
    public func hash(into hasher: inout Hasher) { withUnsafeBytes { hasher.combine(bytes: $0) } }
}

/// The elements of an array, in order.
public struct JSONArray: Sendable, Sequence, IteratorProtocol {
    private let document: JSONDocument
    private let end: Int
    private var position: Int

    init(document: JSONDocument, index: Int) {
        self.document = document
        end = JSONTape.index(document.tape[index]) &- 1
        position = index &+ 1
    }

    /// Returns the next element.
    public mutating func next() -> JSONValue? {
        guard position < end else { return nil }
        defer { position = JSONTape.next(document.tape, position) }
        return JSONValue(document: document, index: position)
    }
}

/// The members of an object in the text's order, with distinct names.
public struct JSONObject: Sendable, Sequence, IteratorProtocol {
    let document: JSONDocument
    let index: Int
    let end: Int
    private var position: Int

    init(document: JSONDocument, index: Int) {
        self.document = document
        self.index = index
        end = JSONTape.index(document.tape[index]) &- 1
        position = index &+ 1
    }

    /// Returns the next member.
    public mutating func next() -> (name: JSONText, value: JSONValue)? {
        guard position < end else { return nil }
        defer { position = JSONTape.next(document.tape, position &+ 1) }
        return (
            JSONText(document: document, word: document.tape[position]),
            JSONValue(document: document, index: position &+ 1)
        )
    }
}
