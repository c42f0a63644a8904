import CShims

/// Functions that read or write each byte of a text once.
enum TextFunctions {
    static func register(on connection: SQLiteConnection, _ meter: CostMeter) throws(SQLiteFailure) {
        try ScalarFunction.register("length", 1...1, on: connection, meter, length)
        for name in ["substr", "substring"] {
            try ScalarFunction.register(name, 2...3, on: connection, meter, substring)
        }
        try ScalarFunction.register("upper", 1...1, on: connection, meter) { call throws(FunctionFailure) in
            try convert(call) { (0x61...0x7A).contains($0) ? $0 & 0xDF : $0 }
        }
        try ScalarFunction.register("lower", 1...1, on: connection, meter) { call throws(FunctionFailure) in
            try convert(call) { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
        }
        try ScalarFunction.register("hex", 1...1, on: connection, meter, hex)
    }

    /// Returns the number of characters of a text up to its first NUL, or the size of any other value, to SQLite.
    private static func length(_ call: FunctionCall) throws(FunctionFailure) {
        guard call.kind(0) == SQLITE_TEXT else {
            if call.kind(0) != SQLITE_NULL {
                sqlite3_result_int(call.context, sqlite3_value_bytes(call.arguments[0]))
            }
            return
        }
        guard let text = try call.bytes(0) else { return }
        try call.charge(text.count, at: FunctionPrices.read)
        var cursor = UTF8Cursor(text)
        sqlite3_result_int64(call.context, Int64(cursor.skip(atMost: text.count)))
    }

    private static func substring(_ call: FunctionCall) throws(FunctionFailure) {
        let isOpen = call.arguments.count == 2
        if call.kind(1) == SQLITE_NULL || !isOpen && call.kind(2) == SQLITE_NULL { return }
        let isBlob = call.kind(0) == SQLITE_BLOB
        // SQLite returns NULL for an empty blob.
        guard let value = try call.bytes(0), !isBlob || value.baseAddress != nil else { return }
        let first = Int(sqlite3_value_int(call.arguments[1]))
        var length = isBlob ? value.count : 0
        if first < 0, !isBlob {
            try call.charge(value.count, at: FunctionPrices.read)
            var cursor = UTF8Cursor(value)
            length = cursor.skip(atMost: value.count)
        }
        let wanted = isOpen ? call.limit : Int(sqlite3_value_int(call.arguments[2]))
        let (start, count) = range(from: first, wanted, of: length)
        guard !isBlob else {
            let start = min(start, value.count)
            let part = UnsafeBufferPointer(rebasing: value[start...].prefix(count))
            return apus_sqlite_result_blob(call.context, part.baseAddress, UInt64(part.count))
        }
        // A character of valid UTF-8 has up to four bytes.
        try call.charge(min(value.count, (start + count) * 4), at: FunctionPrices.read)
        var cursor = UTF8Cursor(value)
        cursor.skip(atMost: start)
        let begin = cursor.offset
        cursor.skip(atMost: count)
        call.answer(text: UnsafeBufferPointer(rebasing: value[begin..<cursor.offset]))
    }

    /// Returns the start and length of the part in characters. `first` counts from 1, or from the end if negative; a
    /// negative `wanted` selects the characters before it. Both fit 32 bits.
    private static func range(from first: Int, _ wanted: Int, of length: Int) -> (start: Int, count: Int) {
        var start = first
        var count = abs(wanted)
        if start < 0 {
            start += length
            if start < 0 {
                count = max(count + start, 0)
                start = 0
            }
        } else if start > 0 {
            start -= 1
        } else if count > 0 {
            count -= 1
        }
        if wanted < 0 {
            start -= count
            if start < 0 {
                count += start
                start = 0
            }
        }
        return (start, count)
    }

    /// Returns a text with each byte converted to SQLite.
    private static func convert(
        _ call: FunctionCall, _ body: (UInt8) -> UInt8
    ) throws(FunctionFailure) {
        guard let value = try call.bytes(0) else { return }
        // Like SQLite, count one byte more than the text.
        guard value.count < call.limit else { throw .tooBig }
        try call.charge(value.count, at: FunctionPrices.read)
        try call.answer(textOf: value.count) { text in
            for index in value.indices { text[index] = body(value[index]) }
        }
    }

    private static func hex(_ call: FunctionCall) throws(FunctionFailure) {
        let value = try call.bytes(0) ?? UnsafeBufferPointer(start: nil, count: 0)
        guard value.count * 2 < call.limit else { throw .tooBig }
        try call.charge(value.count, at: FunctionPrices.read)
        try call.answer(textOf: value.count * 2) { text in
            for (index, byte) in value.enumerated() {
                text[index * 2] = digit(byte >> 4)
                text[index * 2 + 1] = digit(byte & 0xF)
            }
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }
}
