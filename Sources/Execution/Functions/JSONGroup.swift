import CShims

/// The aggregate and window functions `json_group_array` and `json_group_object`. SQLite's collect without a limit.
final class JSONGroup {
    private enum Kind {
        case array
        case object

        var opening: UInt8 { self == .array ? 0x5B : 0x7B }
        var closing: UInt8 { self == .array ? 0x5D : 0x7D }
    }

    /// The data of a registered function.
    private final class Function {
        let kind: Kind
        let meter: CostMeter

        init(_ kind: Kind, _ meter: CostMeter) {
            self.kind = kind
            self.meter = meter
        }
    }

    private let kind: Kind
    /// The members, separated by commas; those before `start` have left the window.
    private var members = JSONText()
    private var start = 0

    private init(_ kind: Kind) { self.kind = kind }

    static func register(on connection: SQLiteConnection, _ meter: CostMeter) throws(SQLiteFailure) {
        for (name, count, kind) in [
            ("json_group_array", Int32(1), Kind.array), ("json_group_object", 2, .object),
        ] {
            let function = Unmanaged.passRetained(Function(kind, meter)).toOpaque()
            try connection.check(
                sqlite3_create_window_function(
                    connection.handle, name, count, ScalarFunction.jsonFlags | SQLITE_SUBTYPE, function,
                    { JSONGroup.step($0, $1, $2) }, { JSONGroup.finish($0) }, { JSONGroup.answer($0) },
                    { context, _, _ in JSONGroup.group(context)?.takeUnretainedValue().removeFirst() },
                    { if let function = $0 { Unmanaged<Function>.fromOpaque(function).release() } }))
        }
    }

    // MARK: Callbacks from SQLite

    private static func step(
        _ context: OpaquePointer?, _ count: Int32, _ arguments: UnsafeMutablePointer<OpaquePointer?>?
    ) {
        guard let pointer = sqlite3_user_data(context),
            let memory = sqlite3_aggregate_context(context, Int32(MemoryLayout<UnsafeRawPointer?>.size))
        else { return sqlite3_result_error_nomem(context) }
        let function = Unmanaged<Function>.fromOpaque(pointer).takeUnretainedValue()
        let place = memory.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
        let group: JSONGroup
        if let known = place.pointee {
            group = Unmanaged<JSONGroup>.fromOpaque(known).takeUnretainedValue()
        } else {
            group = JSONGroup(function.kind)
            place.pointee = Unmanaged.passRetained(group).toOpaque()
        }
        do {
            try group.add(FunctionCall(context, count, arguments, function.meter))
        } catch {
            error.report(to: context)
        }
    }

    /// Returns the group to SQLite and releases it.
    private static func finish(_ context: OpaquePointer?) {
        answer(context)
        group(context)?.release()
    }

    private static func answer(_ context: OpaquePointer?) {
        guard let pointer = sqlite3_user_data(context) else { return sqlite3_result_error_nomem(context) }
        let kind = Unmanaged<Function>.fromOpaque(pointer).takeUnretainedValue().kind
        let members = group(context)?.takeUnretainedValue().present ?? []
        let bytes = [kind.opening] + members + [kind.closing]
        bytes.withUnsafeBufferPointer {
            apus_sqlite_result_text(context, $0.baseAddress, UInt64($0.count))
        }
        sqlite3_result_subtype(context, JSONText.subtype)
    }

    /// Returns the group of the rows so far; nil if there were none.
    private static func group(_ context: OpaquePointer?) -> Unmanaged<JSONGroup>? {
        sqlite3_aggregate_context(context, 0)?.load(as: UnsafeMutableRawPointer?.self)
            .map { Unmanaged<JSONGroup>.fromOpaque($0) }
    }

    // MARK: Members

    private var present: ArraySlice<UInt8> { members.bytes[start...] }

    private func add(_ call: FunctionCall) throws(FunctionFailure) {
        let value = kind == .array ? 0 : 1
        let name = kind == .array ? nil : try call.bytes(0)
        var size = 2 + present.count + (present.isEmpty ? 0 : 1) + (try JSONText.size(value, of: call))
        if kind == .object { size += 1 }
        if let name { size += try JSONText.size(quoted: name, call) }
        guard size <= call.limit else { throw .tooBig }
        if !present.isEmpty { members.append(0x2C) }
        if kind == .object {
            // SQLite writes nothing for a NULL name.
            if let name { members.append(quoted: name) }
            members.append(0x3A)
        }
        try members.append(value, of: call)
    }

    /// Removes the first member, up to the first comma outside of strings and nested values.
    private func removeFirst() {
        var isString = false
        var depth = 0
        var end = start
        let bytes = members.bytes
        while end < bytes.count, bytes[end] != 0x2C || isString || depth > 0 {
            switch bytes[end] {
            case 0x22: isString.toggle()
            case 0x5C: end += 1
            case 0x7B, 0x5B: if !isString { depth += 1 }
            case 0x7D, 0x5D: if !isString { depth -= 1 }
            default: break
            }
            end += 1
        }
        start = min(end + 1, bytes.count)
        if start > bytes.count / 2 {
            members.removeFirst(start)
            start = 0
        }
    }
}
