import CShims
import Glibc

/// `json_each` and `json_tree` (https://sqlite.org/json1.html#jeach): SQLite's tables, read through a separate
/// connection and charged for the JSON, each row, and the content of a row.
final class JSONTable {
    /// The columns, in SQLite's order.
    private static let columns = [
        "key", "value", "type", "atom", "id", "parent", "fullkey", "path", "json", "root",
    ]
    /// The first hidden column, which is the first argument.
    private static let firstArgument: Int32 = 8
    /// The number of low bits of a plan, which show the arguments present; the bits above show the columns read.
    private static let argumentBits: Int32 = 2

    private let name: String
    private let meter: CostMeter
    private let builtins: BuiltinFunctions
    private let methods = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
    /// The size of the JSON in all open cursors, in bytes.
    private var openBytes = 0

    private init(_ name: String, _ meter: CostMeter, _ builtins: BuiltinFunctions) {
        self.name = name
        self.meter = meter
        self.builtins = builtins
        methods.initialize(to: Self.interface)
    }

    deinit { methods.deallocate() }

    static func register(
        on connection: SQLiteConnection, _ meter: CostMeter, _ builtins: BuiltinFunctions
    ) throws(SQLiteFailure) {
        for name in ["json_each", "json_tree"] {
            let table = JSONTable(name, meter, builtins)
            try connection.check(
                sqlite3_create_module_v2(
                    connection.handle, name, table.methods, Unmanaged.passRetained(table).toOpaque(),
                    { if let table = $0 { Unmanaged<JSONTable>.fromOpaque(table).release() } }))
        }
    }

    /// A scan of a table.
    private final class Cursor {
        let table: JSONTable
        var statement: SQLiteStatement?
        /// The plan that `statement` was compiled for.
        var plan: Int32 = 0
        /// Copies of the arguments, which are the hidden columns.
        var given: [OpaquePointer?] = []
        var bytes = 0
        var row: Int64 = 0
        var isAtEnd = true

        init(_ table: JSONTable) { self.table = table }

        deinit { close() }

        /// Starts reading the JSON in the arguments.
        func begin(
            _ plan: Int32, _ arguments: UnsafeMutableBufferPointer<OpaquePointer?>
        ) throws(FunctionFailure) {
            close()
            row = 0
            // There are no rows if an argument is missing or NULL.
            guard !arguments.isEmpty, !arguments.contains(where: { sqlite3_value_type($0) == SQLITE_NULL })
            else {
                return
            }
            let call = FunctionCall(arguments, table.meter)
            bytes = call.size(0)
            table.openBytes += bytes
            guard table.openBytes <= CostModel.value.value else { throw .tooBig }
            try call.charge(bytes, at: FunctionPrices.parsed)
            given = arguments.map { sqlite3_value_dup($0) }
            guard given.allSatisfy({ $0 != nil }) else { throw .outOfMemory }
            if arguments.count > 1 { try call.charge(bytes + call.size(1), at: FunctionPrices.read) }
            do throws(SQLiteFailure) {
                if statement == nil || self.plan != plan {
                    statement = try table.builtins.prepare(sql(plan, arguments.count))
                    self.plan = plan
                }
            } catch {
                throw BuiltinFunctions.functionFailure(error)
            }
            try step(arguments)
        }

        /// Advances to the next row.
        func next() throws(FunctionFailure) {
            row += 1
            try step(UnsafeMutableBufferPointer(start: nil, count: 0))
        }

        /// Returns a column of the row to SQLite.
        func answer(_ context: OpaquePointer?, _ column: Int32) throws(FunctionFailure) {
            guard column < JSONTable.firstArgument else {
                return answer(context, argument: Int(column - JSONTable.firstArgument))
            }
            guard let statement else { return }
            let before = (plan >> JSONTable.argumentBits) & ((1 << column) - 1)
            sqlite3_result_value(
                context, sqlite3_column_value(statement.handle, Int32(before.nonzeroBitCount)))
        }

        /// Returns an argument as SQLite does: a text up to its first NUL, and the root for a missing path.
        private func answer(_ context: OpaquePointer?, argument: Int) {
            guard argument < given.count, let text = sqlite3_value_text(given[argument]) else {
                return "$".withCString { apus_sqlite_result_text(context, $0, 1) }
            }
            apus_sqlite_result_text(context, text, UInt64(strlen(text)))
        }

        private func step(_ arguments: UnsafeMutableBufferPointer<OpaquePointer?>) throws(FunctionFailure) {
            let call = FunctionCall(arguments, table.meter)
            try call.charge(FunctionPrices.call.value)
            guard let statement else { return }
            do throws(SQLiteFailure) {
                isAtEnd = try !table.builtins.step(statement, with: arguments)
            } catch {
                throw BuiltinFunctions.functionFailure(error)
            }
            guard !isAtEnd else { return close() }
            let size = (0..<statement.columnCount).reduce(0) { $0 + statement.size($1) }
            try call.charge(size, at: FunctionPrices.parsed)
        }

        private func sql(_ plan: Int32, _ count: Int) -> String {
            let used = JSONTable.columns.indices.prefix(Int(JSONTable.firstArgument)).filter {
                (plan >> JSONTable.argumentBits) & (1 << $0) != 0
            }
            let columns = used.isEmpty ? "NULL" : used.map { JSONTable.columns[$0] }.joined(separator: ", ")
            let arguments = (0..<count).map { "apus_argument(\($0))" }.joined(separator: ", ")
            return "SELECT \(columns) FROM \(table.name)(\(arguments))"
        }

        /// Releases the arguments.
        func close() {
            statement?.rewind()
            for value in given { sqlite3_value_free(value) }
            given = []
            table.openBytes -= bytes
            bytes = 0
            isAtEnd = true
        }
    }

    // MARK: Callbacks from SQLite (https://sqlite.org/vtab.html)

    private static var interface: sqlite3_module {
        var module = sqlite3_module()
        module.xConnect = { database, table, _, _, place, _ in JSONTable.connect(database, table, place) }
        module.xBestIndex = { _, info in JSONTable.plan(info) }
        module.xDisconnect = { table in
            sqlite3_free(table)
            return SQLITE_OK
        }
        module.xOpen = { JSONTable.open($0, $1) }
        module.xClose = { cursor in
            if let object = JSONTable.object(cursor) { Unmanaged<Cursor>.fromOpaque(object).release() }
            sqlite3_free(cursor)
            return SQLITE_OK
        }
        module.xFilter = { place, plan, _, count, arguments in
            JSONTable.with(place) { cursor throws(FunctionFailure) in
                try cursor.begin(plan, UnsafeMutableBufferPointer(start: arguments, count: Int(count)))
            }
        }
        module.xNext = { JSONTable.with($0) { cursor throws(FunctionFailure) in try cursor.next() } }
        module.xEof = { JSONTable.cursor($0)?.isAtEnd ?? true ? 1 : 0 }
        module.xColumn = { place, context, column in
            JSONTable.with(place) { cursor throws(FunctionFailure) in try cursor.answer(context, column) }
        }
        module.xRowid = { place, row in
            row?.pointee = JSONTable.cursor(place)?.row ?? 0
            return SQLITE_OK
        }
        return module
    }

    private static func connect(
        _ database: OpaquePointer?, _ table: UnsafeMutableRawPointer?,
        _ place: UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab>?>?
    ) -> Int32 {
        let declared = columns.indices.map { $0 < firstArgument ? columns[$0] : "\(columns[$0]) HIDDEN" }
        let declaration = "CREATE TABLE x(\(declared.joined(separator: ",")))"
        let code = sqlite3_declare_vtab(database, declaration)
        guard code == SQLITE_OK else { return code }
        guard let memory = sqlite3_malloc64(UInt64(MemoryLayout<apus_sqlite_table>.size)) else {
            return SQLITE_NOMEM
        }
        let made = memory.bindMemory(to: apus_sqlite_table.self, capacity: 1)
        made.initialize(to: apus_sqlite_table(base: sqlite3_vtab(), object: table))
        place?.pointee = memory.assumingMemoryBound(to: sqlite3_vtab.self)
        return apus_sqlite_vtab_innocuous(database)
    }

    /// Plans a scan as SQLite's tables do: the arguments must be known.
    private static func plan(_ info: UnsafeMutablePointer<sqlite3_index_info>?) -> Int32 {
        guard let info else { return SQLITE_ERROR }
        var given: [Int?] = [nil, nil]
        var unusable: [Bool] = [false, false]
        for index in 0..<Int(info.pointee.nConstraint) {
            guard let constraint = info.pointee.aConstraint?[index], constraint.iColumn >= firstArgument,
                constraint.iColumn < columns.count
            else { continue }
            let argument = Int(constraint.iColumn - firstArgument)
            if constraint.usable == 0 {
                unusable[argument] = true
            } else if Int32(constraint.op) == SQLITE_INDEX_CONSTRAINT_EQ {
                given[argument] = index
            }
        }
        if info.pointee.nOrderBy > 0, let order = info.pointee.aOrderBy?[0], order.iColumn < 0,
            order.desc == 0
        {
            info.pointee.orderByConsumed = 1
        }
        for argument in 0...1 where unusable[argument] && given[argument] == nil { return SQLITE_CONSTRAINT }
        info.pointee.idxNum = 0
        guard let json = given[0] else { return SQLITE_OK }
        info.pointee.estimatedCost = 1
        let used =
            Int32(truncatingIfNeeded: info.pointee.colUsed & (1 << UInt64(firstArgument) - 1)) << argumentBits
        info.pointee.idxNum = used | (given[1] == nil ? 1 : 3)
        for (place, index) in [json, given[1]].compactMap({ $0 }).enumerated() {
            info.pointee.aConstraintUsage?[index].argvIndex = Int32(place + 1)
            info.pointee.aConstraintUsage?[index].omit = 1
        }
        return SQLITE_OK
    }

    private static func open(
        _ table: UnsafeMutablePointer<sqlite3_vtab>?,
        _ place: UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab_cursor>?>?
    ) -> Int32 {
        let object = UnsafeMutableRawPointer(table)?.assumingMemoryBound(to: apus_sqlite_table.self).pointee
            .object
        guard let object, let memory = sqlite3_malloc64(UInt64(MemoryLayout<apus_sqlite_cursor>.size)) else {
            return SQLITE_NOMEM
        }
        let cursor = Cursor(Unmanaged<JSONTable>.fromOpaque(object).takeUnretainedValue())
        memory.bindMemory(to: apus_sqlite_cursor.self, capacity: 1).initialize(
            to: apus_sqlite_cursor(
                base: sqlite3_vtab_cursor(), object: Unmanaged.passRetained(cursor).toOpaque()))
        place?.pointee = memory.assumingMemoryBound(to: sqlite3_vtab_cursor.self)
        return SQLITE_OK
    }

    private static func object(_ cursor: UnsafeMutablePointer<sqlite3_vtab_cursor>?)
        -> UnsafeMutableRawPointer?
    {
        UnsafeMutableRawPointer(cursor)?.assumingMemoryBound(to: apus_sqlite_cursor.self).pointee.object
    }

    private static func cursor(_ place: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> Cursor? {
        object(place).map { Unmanaged<Cursor>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Calls `body` with a cursor. Returns SQLite's result code and stores the reason of a failure.
    private static func with(
        _ place: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ body: (Cursor) throws(FunctionFailure) -> Void
    ) -> Int32 {
        guard let cursor = cursor(place) else { return SQLITE_ERROR }
        do {
            try body(cursor)
            return SQLITE_OK
        } catch {
            if let table = place?.pointee.pVtab {
                sqlite3_free(table.pointee.zErrMsg)
                table.pointee.zErrMsg = error.message.flatMap { apus_sqlite_copy($0) }
            }
            return error.code
        }
    }
}
