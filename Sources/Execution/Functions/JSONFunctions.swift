import CShims

/// The JSON functions. Those that build JSON from values are ours. Those that read it call SQLite's if the JSON,
/// counted for each path, and the values together do not exceed the size of a value, so that the result does not
/// either.
enum JSONFunctions {
    /// The arguments of a function after the first.
    private enum Shape {
        /// Paths to look up, or none.
        case paths
        /// Pairs of paths and values to store there.
        case values
        /// A patch to merge into the first argument.
        case patch
    }

    static func register(
        on connection: SQLiteConnection, _ meter: CostMeter, _ builtins: BuiltinFunctions
    ) throws(SQLiteFailure) {
        let flags = ScalarFunction.jsonFlags
        try ScalarFunction.register("json_quote", 1...1, on: connection, meter, flags: flags, quote)
        try ScalarFunction.register("json_array", [-1], on: connection, meter, flags: flags, array)
        try ScalarFunction.register("json_object", [-1], on: connection, meter, flags: flags, object)
        let reading: [(String, [Int32], Shape)] = [
            ("json", [1], .paths), ("json_valid", [1], .paths), ("json_type", [1, 2], .paths),
            ("json_array_length", [1, 2], .paths), ("json_extract", [-1], .paths), ("->", [2], .paths),
            ("->>", [2], .paths), ("json_remove", [-1], .paths), ("json_set", [-1], .values),
            ("json_insert", [-1], .values), ("json_replace", [-1], .values), ("json_patch", [2], .patch),
        ]
        for (name, counts, shape) in reading {
            try ScalarFunction.register(name, counts, on: connection, meter, flags: flags) {
                call throws(FunctionFailure) in
                try bound(call, shape)
                try builtins.answer(call, name)
            }
        }
    }

    // MARK: Reading

    /// Charges a call of SQLite's function and refuses it if its work or result could be too large.
    private static func bound(_ call: FunctionCall, _ shape: Shape) throws(FunctionFailure) {
        guard !call.arguments.isEmpty else { return }
        let text = call.size(0)
        var size = text
        try call.charge(text, at: FunctionPrices.parsed)
        switch shape {
        case .paths:
            let paths = max(call.arguments.count - 1, 1)
            size = text * paths
            try call.charge(size, at: FunctionPrices.read)
        case .values:
            try call.charge(text * (call.arguments.count / 2), at: FunctionPrices.read)
            for index in stride(from: 2, to: call.arguments.count, by: 2)
            where call.kind(index) != SQLITE_BLOB {
                size += try JSONText.size(index, of: call)
                guard size <= CostModel.value.value else { throw .tooBig }
            }
        case .patch:
            size += call.size(1)
            try chargePatch(call)
        }
        for index in call.arguments.indices.dropFirst() {
            try call.charge(call.size(index), at: FunctionPrices.parsed)
        }
        guard size <= CostModel.value.value else { throw .tooBig }
    }

    /// Charges json_patch, which searches the whole text for each member of the patch.
    private static func chargePatch(_ call: FunctionCall) throws(FunctionFailure) {
        guard let text = try call.bytes(0), let patch = try call.bytes(1) else { return }
        try call.charge(text.count + patch.count, at: FunctionPrices.read)
        // Each member has a colon.
        let members = text.count { $0 == 0x3A }
        let changes = patch.count { $0 == 0x3A }
        try call.charge(members * changes, at: FunctionPrices.pairs)
        try call.charge(text.count * changes, at: FunctionPrices.pairBytes)
    }

    // MARK: Building

    private static func quote(_ call: FunctionCall) throws(FunctionFailure) {
        try make(call, size: try JSONText.size(0, of: call)) { text throws(FunctionFailure) in
            try text.append(0, of: call)
        }
    }

    private static func array(_ call: FunctionCall) throws(FunctionFailure) {
        let indices = call.arguments.indices
        var size = max(indices.count + 1, 2)
        for index in indices {
            size += try JSONText.size(index, of: call)
            guard size <= call.limit else { throw .tooBig }
        }
        try make(call, size: size) { text throws(FunctionFailure) in
            text.append(0x5B)
            for index in indices {
                if index > 0 { text.append(0x2C) }
                try text.append(index, of: call)
            }
            text.append(0x5D)
        }
    }

    private static func object(_ call: FunctionCall) throws(FunctionFailure) {
        let count = call.arguments.count
        guard count.isMultiple(of: 2) else {
            throw .refused("json_object() requires an even number of arguments")
        }
        var size = max(count + 1, 2)
        for index in stride(from: 0, to: count, by: 2) {
            guard call.kind(index) == SQLITE_TEXT, let name = try call.bytes(index) else {
                throw .refused("json_object() labels must be TEXT")
            }
            // A name is quoted even if it is JSON itself.
            size += try JSONText.size(quoted: name, call)
            size += try JSONText.size(index + 1, of: call)
            guard size <= call.limit else { throw .tooBig }
        }
        try make(call, size: size) { text throws(FunctionFailure) in
            text.append(0x7B)
            for index in stride(from: 0, to: count, by: 2) {
                guard let name = try call.bytes(index) else { continue }
                if index > 0 { text.append(0x2C) }
                text.append(quoted: name)
                text.append(0x3A)
                try text.append(index + 1, of: call)
            }
            text.append(0x7D)
        }
    }

    /// Returns JSON of `size` bytes, which `body` builds, to SQLite.
    private static func make(
        _ call: FunctionCall, size: Int, _ body: (inout JSONText) throws(FunctionFailure) -> Void
    ) throws(FunctionFailure) {
        guard size <= call.limit else { throw .tooBig }
        var text = JSONText()
        try body(&text)
        text.bytes.withUnsafeBufferPointer { call.answer(text: $0) }
        sqlite3_result_subtype(call.context, JSONText.subtype)
    }
}
