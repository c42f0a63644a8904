import CShims

/// `instr`, `replace`, `trim`, `ltrim`, `rtrim`, `like` and `glob` as SQLite has them, for transactions: what these do
/// may grow with the product of their arguments' sizes, so they charge the bytes that they look at as they go, and give
/// up when the statement's budget is used up.
final class TextFunctions {
    private let meter: CostMeter
    private let bytesOfUnit = CostModel.searchedBytes.value
    /// Bytes looked at and not charged yet.
    private var pending = 0

    /// Registers the functions on a connection, for as long as both live.
    init(_ connection: SQLiteConnection, _ meter: CostMeter) throws(SQLiteFailure) {
        self.meter = meter
        try register(connection, "instr", 2) { (functions, call) throws(Exhausted) in
            try functions.position(call)
        }
        try register(connection, "replace", 3) { (functions, call) throws(Exhausted) in
            try functions.replace(call)
        }
        for count: Int32 in 1...2 {
            try register(connection, "trim", count) { (functions, call) throws(Exhausted) in
                try functions.trim(call, left: true, right: true)
            }
            try register(connection, "ltrim", count) { (functions, call) throws(Exhausted) in
                try functions.trim(call, left: true, right: false)
            }
            try register(connection, "rtrim", count) { (functions, call) throws(Exhausted) in
                try functions.trim(call, left: false, right: true)
            }
        }
        try register(connection, "like", 2) { (functions, call) throws(Exhausted) in
            try functions.match(call, .like)
        }
        try register(connection, "like", 3) { (functions, call) throws(Exhausted) in
            try functions.match(call, .like)
        }
        try register(connection, "glob", 2) { (functions, call) throws(Exhausted) in
            try functions.match(call, .glob)
        }
    }

    /// A call: its context and arguments.
    private struct Call {
        let context: OpaquePointer
        let arguments: UnsafeBufferPointer<OpaquePointer?>

        func isNull(_ index: Int) -> Bool { sqlite3_value_type(arguments[index]) == SQLITE_NULL }

        /// Bytes of an argument as a text, or of a blob as it is; valid until the call ends. Nil for NULL.
        func bytes(_ index: Int) -> UnsafeRawBufferPointer? {
            guard !isNull(index) else { return nil }
            let value = arguments[index]
            let isBlob = sqlite3_value_type(value) == SQLITE_BLOB
            let base = isBlob ? sqlite3_value_blob(value) : UnsafeRawPointer(sqlite3_value_text(value))
            let count = Int(sqlite3_value_bytes(value))
            return UnsafeRawBufferPointer(start: base, count: base == nil ? 0 : count)
        }

        func result(_ text: UnsafeRawBufferPointer) {
            let base = text.baseAddress?.assumingMemoryBound(to: CChar.self)
            apus_sqlite_result_text(context, base, UInt64(text.count))
        }

        func fail(_ reason: String) { sqlite3_result_error(context, reason, -1) }
    }

    private typealias Body = (TextFunctions, Call) throws(Exhausted) -> Void

    /// The budget is used up.
    struct Exhausted: Error {}

    private final class Entry {
        unowned let functions: TextFunctions
        let body: Body

        init(_ functions: TextFunctions, _ body: @escaping Body) {
            self.functions = functions
            self.body = body
        }
    }

    private func register(
        _ connection: SQLiteConnection, _ name: String, _ count: Int32, _ body: @escaping Body
    ) throws(SQLiteFailure) {
        let entry = Unmanaged.passRetained(Entry(self, body))
        try connection.check(
            sqlite3_create_function_v2(
                connection.handle, name, count, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                entry.toOpaque(),
                { context, count, arguments in
                    guard let context, let data = sqlite3_user_data(context) else { return }
                    let entry = Unmanaged<Entry>.fromOpaque(data).takeUnretainedValue()
                    let call = Call(
                        context: context, arguments: UnsafeBufferPointer(start: arguments, count: Int(count)))
                    do {
                        try entry.body(entry.functions, call)
                    } catch {
                        call.fail("the statement has no budget left")
                    }
                }, nil, nil,
                { data in if let data { Unmanaged<Entry>.fromOpaque(data).release() } }))
    }

    /// Counts bytes that were looked at.
    private func look(_ bytes: Int) throws(Exhausted) {
        pending += bytes
        guard pending >= bytesOfUnit else { return }
        let units = pending / bytesOfUnit
        pending %= bytesOfUnit
        guard meter.charge(units) else { throw Exhausted() }
    }

    private func begin() { pending = 0 }

    // MARK: Searching

    /// Whether `needle`, which is not longer than what follows, lies at a place.
    private func lies(
        _ needle: UnsafeRawBufferPointer, in text: UnsafeRawBufferPointer, at start: Int
    ) throws(Exhausted) -> Bool {
        var index = 0
        while index < needle.count, text[start + index] == needle[index] { index += 1 }
        try look(index + 1)
        return index == needle.count
    }

    private func position(_ call: Call) throws(Exhausted) {
        begin()
        guard let text = call.bytes(0), let needle = call.bytes(1) else { return }
        let isText = !(0...1).allSatisfy { sqlite3_value_type(call.arguments[$0]) == SQLITE_BLOB }
        guard !needle.isEmpty else { return sqlite3_result_int(call.context, 1) }
        var (position, start) = (Int32(1), 0)
        while needle.count <= text.count - start {
            if try lies(needle, in: text, at: start) { return sqlite3_result_int(call.context, position) }
            position += 1
            start += 1
            // Positions of a text are those of its characters.
            while isText, start < text.count, text[start] & 0xC0 == 0x80 { start += 1 }
        }
        sqlite3_result_int(call.context, 0)
    }

    private func replace(_ call: Call) throws(Exhausted) {
        begin()
        guard let text = call.bytes(0), let pattern = call.bytes(1) else { return }
        guard let first = pattern.first, first != 0 else {
            // A number stays one, a blob becomes a text.
            let isBlob = sqlite3_value_type(call.arguments[0]) == SQLITE_BLOB
            return isBlob ? call.result(text) : sqlite3_result_value(call.context, call.arguments[0])
        }
        guard let replacement = call.bytes(2) else { return }
        let limit = Int(sqlite3_limit(sqlite3_context_db_handle(call.context), SQLITE_LIMIT_LENGTH, -1))
        var (places, start) = ([Int](), 0)
        while start <= text.count - pattern.count {
            if try lies(pattern, in: text, at: start) {
                places.append(start)
                start += pattern.count
            } else {
                start += 1
            }
        }
        let (count, isTooMuch) = places.count.multipliedReportingOverflow(
            by: replacement.count - pattern.count)
        guard !isTooMuch, text.count + count <= limit else {
            return sqlite3_result_error_toobig(call.context)
        }
        try look(text.count + count)
        var result: [UInt8] = []
        result.reserveCapacity(text.count + count)
        start = 0
        for place in places {
            result.append(contentsOf: text[start..<place])
            result.append(contentsOf: replacement)
            start = place + pattern.count
        }
        result.append(contentsOf: text[start...])
        result.withUnsafeBytes { call.result($0) }
    }

    // MARK: Trimming

    private func trim(_ call: Call, left: Bool, right: Bool) throws(Exhausted) {
        begin()
        guard var text = call.bytes(0) else { return }
        var characters: [UnsafeRawBufferPointer] = []
        if call.arguments.count == 1 {
            let space: StaticString = " "
            characters = [UnsafeRawBufferPointer(start: space.utf8Start, count: 1)]
        } else {
            guard let set = call.bytes(1) else { return }
            characters = Self.characters(of: set)
        }
        while left, let found = try end(of: text, characters, { $0.starts(with: $1) }) {
            text = UnsafeRawBufferPointer(rebasing: text.dropFirst(found))
        }
        while right, let found = try end(of: text, characters, { $0.suffix($1.count).elementsEqual($1) }) {
            text = UnsafeRawBufferPointer(rebasing: text.dropLast(found))
        }
        call.result(text)
    }

    /// How many bytes the first of the characters that an end of a text is has; nil if it is none of them.
    private func end(
        of text: UnsafeRawBufferPointer, _ characters: [UnsafeRawBufferPointer],
        _ matches: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool
    ) throws(Exhausted) -> Int? {
        guard !text.isEmpty else { return nil }
        for character in characters {
            try look(1)
            if character.count <= text.count, matches(text, character) { return character.count }
        }
        return nil
    }

    /// The characters of a set, up to its first NUL.
    private static func characters(of set: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer] {
        var characters: [UnsafeRawBufferPointer] = []
        var start = 0
        while start < set.count, set[start] != 0 {
            var end = start + 1
            if set[start] >= 0xC0 { while end < set.count, set[end] & 0xC0 == 0x80 { end += 1 } }
            characters.append(UnsafeRawBufferPointer(rebasing: set[start..<end]))
            start = end
        }
        return characters
    }

    // MARK: Patterns

    private func match(_ call: Call, _ syntax: PatternMatcher.Syntax) throws(Exhausted) {
        begin()
        var syntax = syntax
        // Debian's SQLite matches no blobs (SQLITE_LIKE_DOESNT_MATCH_BLOBS).
        if (0...1).contains(where: { sqlite3_value_type(call.arguments[$0]) == SQLITE_BLOB }) {
            return sqlite3_result_int(call.context, 0)
        }
        let limit = sqlite3_limit(
            sqlite3_context_db_handle(call.context), SQLITE_LIMIT_LIKE_PATTERN_LENGTH, -1)
        if sqlite3_value_bytes(call.arguments[0]) > limit {
            return call.fail("LIKE or GLOB pattern too complex")
        }
        if call.arguments.count == 3 {
            guard let escape = call.bytes(2) else { return }
            guard syntax.setEscape(escape) else {
                return call.fail("ESCAPE expression must be a single character")
            }
        }
        guard let pattern = call.bytes(0), let text = call.bytes(1) else { return }
        var matcher = PatternMatcher(pattern, text, syntax)
        let outcome = try matcher.match { (bytes) throws(Exhausted) in try self.look(bytes) }
        sqlite3_result_int(call.context, outcome ? 1 : 0)
    }
}
