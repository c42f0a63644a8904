import CShims

/// A call of one of our functions: its arguments, its charges, and its result.
struct FunctionCall {
    /// SQLite's `sqlite3_context *`.
    let context: OpaquePointer?
    /// The arguments, `sqlite3_value *` each.
    let arguments: UnsafeMutableBufferPointer<OpaquePointer?>
    private let meter: CostMeter

    init(
        _ context: OpaquePointer?, _ count: Int32, _ arguments: UnsafeMutablePointer<OpaquePointer?>?,
        _ meter: CostMeter
    ) {
        self.context = context
        self.arguments = UnsafeMutableBufferPointer(
            start: arguments, count: arguments == nil ? 0 : Int(count))
        self.meter = meter
    }

    /// Creates a call without an SQLite context, which cannot return a result.
    init(_ arguments: UnsafeMutableBufferPointer<OpaquePointer?>, _ meter: CostMeter) {
        context = nil
        self.arguments = arguments
        self.meter = meter
    }

    // MARK: Arguments

    /// Returns the storage class of an argument, such as `SQLITE_TEXT`.
    func kind(_ index: Int) -> Int32 { sqlite3_value_type(arguments[index]) }

    /// Returns the bytes of a text or blob, or of a number's text; nil for NULL. They are valid until the call returns.
    func bytes(_ index: Int) throws(FunctionFailure) -> UnsafeBufferPointer<UInt8>? {
        let value = arguments[index]
        switch kind(index) {
        case SQLITE_NULL: return nil
        case SQLITE_BLOB:
            let base = sqlite3_value_blob(value)?.assumingMemoryBound(to: UInt8.self)
            return UnsafeBufferPointer(start: base, count: base == nil ? 0 : Int(sqlite3_value_bytes(value)))
        default:
            guard let base = sqlite3_value_text(value) else { throw .outOfMemory }
            return UnsafeBufferPointer(start: base, count: Int(sqlite3_value_bytes(value)))
        }
    }

    /// Returns the size of a text or blob in bytes; for any other value, the maximum size of its text.
    func size(_ index: Int) -> Int {
        switch kind(index) {
        case SQLITE_TEXT, SQLITE_BLOB: Int(sqlite3_value_bytes(arguments[index]))
        default: 32
        }
    }

    /// The current maximum size of a value, in bytes.
    var limit: Int { Int(sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LENGTH, -1)) }

    // MARK: Costs

    /// Charges `units` before the work is done.
    func charge(_ units: Int) throws(FunctionFailure) {
        guard units > 0 else { return }
        guard meter.charge(units) else { throw .spent }
    }

    /// Charges `bytes` at a price given in bytes for a unit.
    func charge(_ bytes: Int, at price: CostModel.Figure) throws(FunctionFailure) {
        try charge(bytes / price.value)
    }

    // MARK: Results

    /// Returns a copy of these bytes as a text to SQLite.
    func answer(text: UnsafeBufferPointer<UInt8>) {
        apus_sqlite_result_text(context, text.baseAddress, UInt64(text.count))
    }

    /// Returns a text of `count` bytes, which `body` writes, to SQLite.
    func answer(
        textOf count: Int, _ body: (UnsafeMutableBufferPointer<UInt8>) throws(FunctionFailure) -> Void
    ) throws(FunctionFailure) {
        guard count <= limit else { throw .tooBig }
        guard let memory = sqlite3_malloc64(UInt64(count) &+ 1) else { throw .outOfMemory }
        let text = UnsafeMutableBufferPointer(
            start: memory.assumingMemoryBound(to: UInt8.self), count: count)
        do {
            try body(text)
        } catch {
            sqlite3_free(memory)
            throw error
        }
        memory.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
        sqlite3_result_text64(context, memory, UInt64(count), sqlite3_free, UInt8(SQLITE_UTF8))
    }
}
