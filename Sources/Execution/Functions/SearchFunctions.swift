import CShims

/// `instr` and `replace`. SQLite compares the whole needle at each position; the C library's `memmem` is linear in both
/// texts (https://sourceware.org/git/?p=glibc.git;a=blob;f=string/memmem.c).
enum SearchFunctions {
    static func register(on connection: SQLiteConnection, _ meter: CostMeter) throws(SQLiteFailure) {
        try ScalarFunction.register("instr", 2...2, on: connection, meter, position)
        try ScalarFunction.register("replace", 3...3, on: connection, meter, replace)
    }

    /// Returns the position of the first occurrence, from 1, to SQLite; in bytes for blobs, in characters otherwise.
    private static func position(_ call: FunctionCall) throws(FunctionFailure) {
        guard call.kind(0) != SQLITE_NULL, call.kind(1) != SQLITE_NULL else { return }
        let isText = call.kind(0) != SQLITE_BLOB || call.kind(1) != SQLITE_BLOB
        guard let text = try call.bytes(0), let needle = try call.bytes(1) else { return }
        try call.charge(text.count + needle.count, at: FunctionPrices.searched)
        var place = find(needle, in: text[...])
        // SQLite finds a needle that starts within a character only at the start of the text.
        if isText, let found = place, found > 0, text[found] & 0xC0 == 0x80 { place = nil }
        guard let place else { return sqlite3_result_int64(call.context, 0) }
        let before = place == 0 ? text[..<0] : text[1...place]
        let characters = isText ? before.count { $0 & 0xC0 != 0x80 } : before.count
        sqlite3_result_int64(call.context, Int64(characters + 1))
    }

    private static func replace(_ call: FunctionCall) throws(FunctionFailure) {
        guard let text = try call.bytes(0), let needle = try call.bytes(1) else { return }
        // SQLite treats a needle that starts with NUL as empty, before it checks the third argument.
        guard let first = needle.first, first != 0 else {
            if call.kind(0) == SQLITE_BLOB { return call.answer(text: text) }
            return sqlite3_result_value(call.context, call.arguments[0])
        }
        guard let new = try call.bytes(2) else { return }
        // Like SQLite, count one byte more than the text.
        guard text.count < call.limit else { throw .tooBig }
        try call.charge(text.count + needle.count + new.count, at: FunctionPrices.searched)
        var size = text.count
        if new.count > needle.count {
            let growth = new.count - needle.count
            try each(needle, in: text) { _ throws(FunctionFailure) in
                size += growth
                guard size <= call.limit else { throw .tooBig }
            }
            try call.charge(size, at: FunctionPrices.searched)
        }
        try write(call, text, needle, new, atMost: size)
    }

    /// Returns `text` with each `needle` replaced by `new` to SQLite.
    private static func write(
        _ call: FunctionCall, _ text: UnsafeBufferPointer<UInt8>, _ needle: UnsafeBufferPointer<UInt8>,
        _ new: UnsafeBufferPointer<UInt8>, atMost size: Int
    ) throws(FunctionFailure) {
        guard let memory = sqlite3_malloc64(UInt64(size) &+ 1) else { throw .outOfMemory }
        var end = memory
        func append(_ part: Slice<UnsafeBufferPointer<UInt8>>) {
            let part = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: part))
            guard let base = part.baseAddress else { return }
            end.copyMemory(from: base, byteCount: part.count)
            end += part.count
        }
        var rest = 0
        each(needle, in: text) { place in
            append(text[rest..<place])
            append(new[...])
            rest = place + needle.count
        }
        append(text[rest...])
        let count = end - memory
        end.storeBytes(of: 0, as: UInt8.self)
        sqlite3_result_text64(call.context, memory, UInt64(count), sqlite3_free, UInt8(SQLITE_UTF8))
    }

    /// Calls `body` with each position of `needle`, which is not empty; occurrences do not overlap.
    private static func each<E: Error>(
        _ needle: UnsafeBufferPointer<UInt8>, in text: UnsafeBufferPointer<UInt8>,
        _ body: (Int) throws(E) -> Void
    ) throws(E) {
        var rest = 0
        while let place = find(needle, in: text[rest...]) {
            try body(place)
            rest = place + needle.count
        }
    }

    private static func find(
        _ needle: UnsafeBufferPointer<UInt8>, in text: Slice<UnsafeBufferPointer<UInt8>>
    ) -> Int? {
        guard needle.count > 0 else { return text.startIndex }
        guard needle.count <= text.count, let base = text.base.baseAddress, let sought = needle.baseAddress
        else {
            return nil
        }
        let found = apus_memory_find(base + text.startIndex, text.count, sought, needle.count)
        return found.map { $0 - UnsafeRawPointer(base) }
    }
}
