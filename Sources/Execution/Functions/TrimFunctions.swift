import CShims

/// `trim`, `ltrim` and `rtrim`. SQLite searches the whole set of characters for each character that it removes.
enum TrimFunctions {
    /// The maximum size of a set that is searched without a table, which would take longer to build.
    private static let fewCharacters = 8

    static func register(on connection: SQLiteConnection, _ meter: CostMeter) throws(SQLiteFailure) {
        for (name, left, right) in [("trim", true, true), ("ltrim", true, false), ("rtrim", false, true)] {
            try ScalarFunction.register(name, 1...2, on: connection, meter) { call throws(FunctionFailure) in
                try trim(call, left: left, right: right)
            }
        }
    }

    private static func trim(_ call: FunctionCall, left: Bool, right: Bool) throws(FunctionFailure) {
        guard var text = try call.bytes(0) else { return }
        guard call.arguments.count > 1 else {
            try call.charge(text.count, at: FunctionPrices.read)
            if left { text = UnsafeBufferPointer(rebasing: text.drop { $0 == 0x20 }) }
            while right, text.last == 0x20 { text = UnsafeBufferPointer(rebasing: text.dropLast()) }
            return call.answer(text: text)
        }
        guard let characters = try call.bytes(1) else { return }
        try call.charge(characters.count, at: FunctionPrices.trimmed)
        var set = try CharacterSet(characters, call)
        while left, let length = try set.match(text, atEnd: false) {
            text = UnsafeBufferPointer(rebasing: text[length...])
        }
        while right, let length = try set.match(text, atEnd: true) {
            text = UnsafeBufferPointer(rebasing: text[..<(text.count - length)])
        }
        call.answer(text: text)
    }

    /// The characters to remove. If several match, the first counts: since they need not be UTF-8, one may start or end
    /// with another.
    private struct CharacterSet {
        private let call: FunctionCall
        /// The characters to compare one by one, with their positions in the set.
        private var listed: [(place: Int, bytes: UnsafeBufferPointer<UInt8>)] = []
        /// The positions of characters of up to four bytes, if there are many.
        private var places: [UInt64: Int] = [:]
        /// The maximum number of bytes that a match compares, plus the cost of a lookup.
        private var cost = 16
        /// The number of bytes compared but not yet charged.
        private var due = 0

        init(_ characters: UnsafeBufferPointer<UInt8>, _ call: FunctionCall) throws(FunctionFailure) {
            self.call = call
            var cursor = UTF8Cursor(characters)
            let count = cursor.skip(atMost: characters.count)
            // SQLite allocates 12 bytes for each character.
            guard count * 12 <= call.limit else { throw .tooBig }
            let isTable = count > fewCharacters
            if isTable { cost += FunctionPrices.read.value / FunctionPrices.trimmed.value }
            cursor = UTF8Cursor(characters)
            for place in 0..<count {
                let start = cursor.offset
                cursor.skip()
                let bytes = UnsafeBufferPointer(rebasing: characters[start..<cursor.offset])
                if isTable, bytes.count <= 4 {
                    let key = Self.key(bytes[...])
                    if places[key] == nil { places[key] = place }
                } else {
                    listed.append((place, bytes))
                    cost += bytes.count
                }
            }
        }

        /// Returns the size of the character of the set that `text` starts or ends with, if there is one.
        mutating func match(
            _ text: UnsafeBufferPointer<UInt8>, atEnd: Bool
        ) throws(FunctionFailure) -> Int? {
            if text.isEmpty { return nil }
            due += cost
            if due >= FunctionPrices.read.value {
                try call.charge(due, at: FunctionPrices.read)
                due %= FunctionPrices.read.value
            }
            var best: (place: Int, length: Int)?
            if !places.isEmpty {
                for length in 1...min(4, text.count) {
                    let part = atEnd ? text.suffix(length) : text.prefix(length)
                    guard let place = places[Self.key(part)], place < best?.place ?? .max else { continue }
                    best = (place, length)
                }
            }
            for (place, bytes) in listed where place < best?.place ?? .max {
                guard bytes.count <= text.count else { continue }
                let part = atEnd ? text.suffix(bytes.count) : text.prefix(bytes.count)
                if part.elementsEqual(bytes) { return bytes.count }
            }
            return best?.length
        }

        /// Returns the key of up to four bytes.
        private static func key(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> UInt64 {
            bytes.reduce(1) { $0 << 8 | UInt64($1) }
        }
    }
}
