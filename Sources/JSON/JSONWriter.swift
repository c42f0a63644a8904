import Bytes
import Multiformats

/// Writes JSON (RFC 8259) into one buffer. Inserts commas, colons and line ends; the caller must alternate
/// names and values in objects and write one value in all.
public struct JSONWriter: Sendable {
    /// Where lines break.
    public enum Layout: Sendable {
        /// No white space.
        case compact
        /// For files: one line per member of the outermost object and per element of its arrays; deeper
        /// values stay on that line.
        case lines
    }

    /// The bytes written so far.
    public private(set) var bytes: [UInt8]
    private let layout: Layout
    /// Whether the next value or name follows another in its object or array.
    private var isLater = false
    private var depth = 0
    /// The depth beyond which lines do not break; 0 while compact.
    private var brokenDepth = 0

    /// Creates a writer with room for `capacity` bytes.
    public init(capacity: Int = 256, layout: Layout = .compact) {
        bytes = []
        bytes.reserveCapacity(capacity)
        self.layout = layout
    }

    /// Reserves room for `count` more bytes.
    public mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    // MARK: Objects and arrays

    /// Writes an object, whose members `body` writes, as the value of the member `name` if given.
    @inlinable
    public mutating func object<E: Error>(
        _ name: StaticString? = nil, _ body: (inout JSONWriter) throws(E) -> Void
    ) throws(E) {
        if let name { self.name(name) }
        beginObject()
        try body(&self)
        endObject()
    }

    /// Writes an array, whose elements `body` writes, as the value of the member `name` if given.
    @inlinable
    public mutating func array<E: Error>(
        _ name: StaticString? = nil, _ body: (inout JSONWriter) throws(E) -> Void
    ) throws(E) {
        if let name { self.name(name) }
        beginArray()
        try body(&self)
        endArray()
    }

    /// Begins an object.
    public mutating func beginObject() { begin(UInt8(ascii: "{"), isBroken: depth == 0) }

    /// Ends the innermost object.
    public mutating func endObject() { end(UInt8(ascii: "}")) }

    /// Begins an array.
    public mutating func beginArray() { begin(UInt8(ascii: "["), isBroken: depth <= 1) }

    /// Ends the innermost array.
    public mutating func endArray() { end(UInt8(ascii: "]")) }

    /// Writes a member that is an array, in which `body` writes one value for each of `elements`.
    @inlinable
    public mutating func array<Element>(
        _ name: StaticString, of elements: some Sequence<Element>,
        _ body: (inout JSONWriter, Element) -> Void
    ) {
        array(name) { list in
            for element in elements { body(&list, element) }
        }
    }

    /// Writes the name of the member whose value follows.
    public mutating func name(_ name: StaticString) {
        text(name)
        endName()
    }

    /// Writes the name of the member whose value follows.
    public mutating func name(_ name: String) {
        text(name)
        endName()
    }

    // MARK: Values

    /// Writes a string.
    public mutating func text(_ text: String) {
        separate()
        quote(text)
    }

    /// Writes a literal string.
    public mutating func text(_ text: StaticString) {
        separate()
        quote(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Writes an integer.
    public mutating func integer(_ number: some FixedWidthInteger) {
        separate()
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        var rest = UInt64(truncatingIfNeeded: number.magnitude)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { buffer in
            var position = 20
            repeat {
                position &-= 1
                buffer[position] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0 && position > 0
            bytes.append(contentsOf: buffer[position...])
        }
    }

    /// Writes a number, or null if it is NaN or infinite, which JSON cannot express.
    public mutating func number(_ number: Double) {
        separate()
        if number.isFinite { bytes.append(contentsOf: number.description.utf8) } else { append("null") }
    }

    /// Writes a boolean.
    public mutating func flag(_ flag: Bool) {
        separate()
        append(flag ? "true" : "false")
    }

    /// Writes null.
    public mutating func null() {
        separate()
        append("null")
    }

    /// Writes bytes as a string of lower-case hexadecimal digits.
    public mutating func hex(_ source: some ByteSource) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        source.withUnsafeBytes { Hex.append($0, to: &bytes) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Writes bytes as a base64 string, with padding.
    public mutating func base64(_ source: some ByteSource) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        source.withUnsafeBytes { Base64.append($0, to: &bytes) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Writes a value of a document. Strings and numbers keep their meaning, not their spelling.
    public mutating func value(_ value: JSONValue) {
        let (tape, texts) = (value.document.tape, value.document.texts)
        var index = value.index
        let end = JSONTape.next(tape, index)
        // Whether each enclosing value is an object rather than an array, innermost last, and whether a name or
        // the end of an object comes next.
        var objects: [Bool] = []
        var expectsName = false
        while index < end {
            let word = tape[index]
            let kind = JSONTape.kind(word)
            let isName = expectsName && kind == JSONTape.Kind.text
            switch kind {
            case JSONTape.Kind.text:
                separate()
                quote(JSONTape.text(word, texts))
                if isName { endName() }
            case JSONTape.Kind.object:
                beginObject()
                objects.append(true)
            case JSONTape.Kind.array:
                beginArray()
                objects.append(false)
            case JSONTape.Kind.objectEnd:
                endObject()
                objects.removeLast()
            case JSONTape.Kind.arrayEnd:
                endArray()
                objects.removeLast()
            case JSONTape.Kind.int64: integer(Int64(bitPattern: tape[index &+ 1]))
            case JSONTape.Kind.uint64: integer(tape[index &+ 1])
            case JSONTape.Kind.double: number(Double(bitPattern: tape[index &+ 1]))
            case JSONTape.Kind.yes: flag(true)
            case JSONTape.Kind.no: flag(false)
            default: null()
            }
            expectsName = objects.last == true && !isName
            switch kind {
            case JSONTape.Kind.int64, JSONTape.Kind.uint64, JSONTape.Kind.double: index &+= 2
            default: index &+= 1
            }
        }
        withExtendedLifetime(value.document) {}
    }

    /// Writes the line feed that ends a file.
    public mutating func endLine() { bytes.append(0x0A) }

    // MARK: Parts

    private mutating func begin(_ bracket: UInt8, isBroken: Bool) {
        separate()
        bytes.append(bracket)
        if layout == .lines, isBroken, brokenDepth == depth { brokenDepth = depth + 1 }
        depth += 1
        isLater = false
    }

    private mutating func end(_ bracket: UInt8) {
        if layout == .lines, isLater, depth <= brokenDepth { lineEnd(depth - 1) }
        depth -= 1
        brokenDepth = min(brokenDepth, depth)
        bytes.append(bracket)
        isLater = true
    }

    private mutating func lineEnd(_ depth: Int) {
        bytes.append(0x0A)
        for _ in 0..<depth { append("  ") }
    }

    /// Writes the separator between two values, or after a bracket.
    private mutating func separate() {
        if isLater { bytes.append(UInt8(ascii: ",")) }
        if layout == .lines, !isAfterName, depth > 0 {
            if depth <= brokenDepth { lineEnd(depth) } else if isLater { bytes.append(0x20) }
        }
        isAfterName = false
        isLater = true
    }

    private var isAfterName = false

    private mutating func endName() {
        bytes.append(UInt8(ascii: ":"))
        if layout == .lines { bytes.append(0x20) }
        isLater = false
        isAfterName = true
    }

    private mutating func append(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func quote(_ text: String) {
        var text = text
        text.withUTF8 { quote(UnsafeRawBufferPointer($0)) }
    }

    /// Quotes UTF-8. Runs without escapes are copied in one piece.
    private mutating func quote(_ text: UnsafeRawBufferPointer) {
        bytes.append(UInt8(ascii: "\""))
        var plain = 0
        for position in 0..<text.count {
            let byte = text[position]
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[plain..<position]))
            escape(byte)
            plain = position &+ 1
        }
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[plain...]))
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case 0x08: append("\\b")
        case 0x09: append("\\t")
        case 0x0A: append("\\n")
        case 0x0C: append("\\f")
        case 0x0D: append("\\r")
        default:
            append("\\u00")
            withUnsafeBytes(of: byte) { Hex.append($0, to: &bytes) }
        }
    }
}

// MARK: - Members

extension JSONWriter {
    /// Writes a member that is a string.
    public mutating func member(_ name: StaticString, text: String) {
        self.name(name)
        self.text(text)
    }

    /// Writes a member that is a literal string.
    public mutating func member(_ name: StaticString, text: StaticString) {
        self.name(name)
        self.text(text)
    }

    /// Writes a member that is an integer.
    public mutating func member(_ name: StaticString, integer: some FixedWidthInteger) {
        self.name(name)
        self.integer(integer)
    }

    /// Writes a member that is a number, or null if it is NaN or infinite.
    public mutating func member(_ name: StaticString, number: Double) {
        self.name(name)
        self.number(number)
    }

    /// Writes a member that is a boolean.
    public mutating func member(_ name: StaticString, flag: Bool) {
        self.name(name)
        self.flag(flag)
    }

    /// Writes a member that is bytes in hexadecimal.
    public mutating func member(_ name: StaticString, hex: some ByteSource) {
        self.name(name)
        self.hex(hex)
    }

    /// Writes a member that is bytes in base64.
    public mutating func member(_ name: StaticString, base64: some ByteSource) {
        self.name(name)
        self.base64(base64)
    }
}
