import CShims

/// JSON as SQLite writes it from values.
struct JSONText {
    /// The subtype that SQLite gives to what its JSON functions yield, so that the next takes it for JSON and no text.
    static let subtype: UInt32 = 0x4A

    private(set) var bytes: [UInt8] = []

    /// Removes bytes.
    mutating func removeFirst(_ count: Int) { bytes.removeFirst(count) }

    /// Adds a byte.
    mutating func append(_ byte: UInt8) { bytes.append(byte) }

    /// Adds a value.
    mutating func append(_ index: Int, of call: FunctionCall) throws(FunctionFailure) {
        guard let value = try call.bytes(index) else { return bytes.append(contentsOf: "null".utf8) }
        if Self.isQuoted(index, of: call) { append(quoted: value) } else { bytes.append(contentsOf: value) }
    }

    /// Adds a text in quotation marks.
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

    /// Bytes that a value takes, which are charged; the value has to be read for that.
    static func size(_ index: Int, of call: FunctionCall) throws(FunctionFailure) -> Int {
        guard call.kind(index) != SQLITE_BLOB else { throw .refused("JSON cannot hold BLOB values") }
        guard isQuoted(index, of: call) else {
            let size = try call.bytes(index)?.count ?? 4
            try call.charge(size, at: FunctionPrices.written)
            return size
        }
        return try size(quoted: try call.bytes(index) ?? UnsafeBufferPointer(start: nil, count: 0), call)
    }

    /// Bytes that a text takes in quotation marks, which are charged.
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

    /// Whether a value is a text that is no JSON.
    private static func isQuoted(_ index: Int, of call: FunctionCall) -> Bool {
        call.kind(index) == SQLITE_TEXT && sqlite3_value_subtype(call.arguments[index]) != subtype
    }

    /// The letter after the backslash that a byte needs, if it does.
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
