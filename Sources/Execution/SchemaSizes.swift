import Multiformats

/// How large the tables and views of a database are where statements use them (`ExpandedSize`): a view with all that it
/// uses in its place, a table with its indexes, which each write to it compiles.
final class SchemaSizes {
    private struct Object {
        let text: RawText
        let isView: Bool
        /// Tokens of a table's indexes.
        var indexes = 0
        var size: Int?
        /// Views on the longest way down from this one, itself included.
        var depth = 0
        /// Whether its size is being computed.
        var isOpen = false
        /// Whether it was used while its size was being computed: SQLite cannot use such a view.
        var isCircular = false
    }

    /// Views that use views that use views: each takes some of SQLite's stack.
    private static let depthLimit = 50
    private static let tooLarge = ExecutionLimits.expandedTokens + 1

    private var objects: [RawText: Object] = [:]

    /// Reads the schema that the connection sees now.
    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        var indexes: [(table: RawText, text: RawText)] = []
        let rows = try connection.prepare(
            "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        while try rows.step() {
            let type = rows.rawText(0)
            if type == "index" {
                indexes.append((rows.rawText(2).foldedASCII, rows.rawText(3)))
            } else {
                objects[rows.rawText(1).foldedASCII] = Object(text: rows.rawText(3), isView: type == "view")
            }
        }
        for index in indexes { objects[index.table]?.indexes += SQLScanner.count(index.text) }
    }

    /// What a table or view of this folded name adds to a statement; nil if there is none. Too much for views that use
    /// each other in a circle, and for those that are too deep.
    func size(_ name: RawText) -> Int? {
        guard let object = objects[name] else { return nil }
        if let size = object.size { return size }
        if object.isOpen {
            objects[name]?.isCircular = true
            return Self.tooLarge
        }
        objects[name]?.isOpen = true
        var depth = 0
        var size = SQLScanner.count(object.text) + object.indexes
        if object.isView {
            size = ExpandedSize.of(object.text) { used in
                let size = self.size(used)
                depth = max(depth, self.objects[used]?.depth ?? 0)
                return size
            }
            depth += 1
            if depth > Self.depthLimit { size = Self.tooLarge }
        }
        objects[name]?.isOpen = false
        objects[name]?.depth = depth
        objects[name]?.size = size
        return size
    }

    /// The first object, by name, that is too large, or the reason why all together are; nil if all is well.
    var violation: StatementFault? {
        var total = 0
        for name in objects.keys.sorted() {
            guard let size = size(name), let object = objects[name] else { continue }
            if object.isCircular { return .refused("view \(name) uses itself") }
            if object.depth > Self.depthLimit {
                return .refused(
                    "view \(name) is the top of more than \(Self.depthLimit) views, each on the next")
            }
            guard size <= ExecutionLimits.objectTokens else {
                let limit = ExecutionLimits.objectTokens
                return .refused(
                    "\(object.isView ? "view" : "table") \(name) has more than \(limit) tokens with all that it uses"
                )
            }
            total += size
        }
        if total <= ExecutionLimits.schemaTokens { return nil }
        return .refused("tables, indexes and views have more than \(ExecutionLimits.schemaTokens) tokens")
    }
}
