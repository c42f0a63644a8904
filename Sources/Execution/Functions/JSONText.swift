import CShims

/// JSON as SQLite writes it from values.
struct JSONText {
    /// The subtype that marks results of SQLite's JSON functions, so that another one treats them as JSON, not as text.
    static let subtype: UInt32 = 0x4A

    private(set) var bytes: [UInt8] = []

    mutating func removeFirst(_ count: Int) { bytes.removeFirst(count) }

    mutating func append(_ byte: UInt8) { bytes.append(byte) }

    /// Appends a value.
    mutating func append(_ index: Int, of call: FunctionCall) throws(FunctionFailure) {
        guard let value = try call.bytes(index) else { return bytes.append(contentsOf: "null".utf8) }
        if Self.isQuoted(index, of: call) { append(quoted: value) } else { bytes.append(contentsOf: value) }
    }

    /// Appends a text in quotation marks.
    mutating func append(quoted text: UnsafeBufferPointer<UInt8>) {
        bytes.append(0x22)
        for byte in text {
            guard let letter = Self.escape(byte) else {
                bytes.append(byte)
                continue
            }
            bytes.append(0x5C)
            bytes.append(letter)
            if letter == UInt8(ascii: "u") {
                bytes.append(contentsOf: "00".utf8)
                bytes.append(0x30 + byte >> 4)
                bytes.append(byte & 0xF < 10 ? 0x30 + byte & 0xF : 0x57 + byte & 0xF)
            }
        }
        bytes.append(0x22)
    }

    /// Returns the size of a value as JSON, in bytes, and charges for it.
    static func size(_ index: Int, of call: FunctionCall) throws(FunctionFailure) -> Int {
        guard call.kind(index) != SQLITE_BLOB else { throw .refused("JSON cannot hold BLOB values") }
        guard isQuoted(index, of: call) else {
            let size = try call.bytes(index)?.count ?? 4
            try call.charge(size, at: FunctionPrices.written)
            return size
        }
        return try size(quoted: try call.bytes(index) ?? UnsafeBufferPointer(start: nil, count: 0), call)
    }

    /// Returns the size of a text in quotation marks, in bytes, and charges for it.
    static func size(
        quoted text: UnsafeBufferPointer<UInt8>, _ call: FunctionCall
    ) throws(FunctionFailure) -> Int {
        try call.charge(text.count, at: FunctionPrices.read)
        var size = 2
        for byte in text {
            switch escape(byte) {
            case .none: size += 1
            case UInt8(ascii: "u"): size += 6
            default: size += 2
            }
        }
        try call.charge(size, at: FunctionPrices.written)
        return size
    }

    /// Returns whether a value is a text that is not marked as JSON.
    private static func isQuoted(_ index: Int, of call: FunctionCall) -> Bool {
        call.kind(index) == SQLITE_TEXT && sqlite3_value_subtype(call.arguments[index]) != subtype
    }

    /// Returns the letter after the backslash for a byte that must be escaped; nil for others.
    private static func escape(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x22, 0x5C: byte
        case 0x08: UInt8(ascii: "b")
        case 0x09: UInt8(ascii: "t")
        case 0x0A: UInt8(ascii: "n")
        case 0x0C: UInt8(ascii: "f")
        case 0x0D: UInt8(ascii: "r")
        case ..<0x20: UInt8(ascii: "u")
        default: nil
        }
    }
}
