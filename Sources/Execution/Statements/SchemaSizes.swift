import Bytes

/// The sizes of a database's tables and views as statements use them (`ExpandedSize`): of a view with everything it
/// uses expanded, and of a table with its indexes, which SQLite compiles for each write.
final class SchemaSizes {
    private struct Object {
        let text: RawText
        let isView: Bool
        /// The number of a table's indexes, and their tokens.
        var indexes = 0
        var indexTokens = 0
        var size: ExpandedSize?
        /// The number of views on the longest path down from this one, itself included.
        var depth = 0
        /// Whether its size is being computed.
        var isOpen = false
        /// Whether the view uses itself, which SQLite rejects.
        var isCircular = false
    }

    private static let depthLimit = CostModel.viewDepth.value

    private var objects: [RawText: Object] = [:]
    /// The tables with foreign keys to each table.
    private var children: [RawText: [RawText]] = [:]
    private var writtenSizes: [RawText: ExpandedSize] = [:]
    /// The size of the longest definition of a table, view or index in bytes, which SQLite handles in a schema change.
    private(set) var longestText = 0
    /// The first object with a token longer than `CostModel.schemaLiteral`.
    private var wide: RawText?

    /// Reads the schema that the connection currently sees.
    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        var indexes: [(table: RawText, tokens: Int)] = []
        let rows = try connection.prepare(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid")
        while try rows.step() {
            let (type, name, text) = (rows.rawText(0), rows.rawText(1), rows.rawText(3))
            let measure = SQLScanner.measure(text)
            longestText = max(longestText, text.utf8.count)
            if measure.widest > CostModel.schemaLiteral.value, wide == nil { wide = name }
            if type == "index" {
                indexes.append((rows.rawText(2).foldedASCII, measure.tokens))
            } else {
                objects[name.foldedASCII] = Object(text: text, isView: type == "view")
                for parent in Self.parents(text) { children[parent, default: []].append(name.foldedASCII) }
            }
        }
        for index in indexes {
            objects[index.table]?.indexes += 1
            objects[index.table]?.indexTokens += index.tokens
        }
    }

    /// Returns the number of indexes of the table with this folded name, including SQLite's own for keys.
    func indexes(of table: RawText) -> Int { objects[table]?.indexes ?? 0 }

    /// Returns the size that a table or view of this folded name adds to a statement; nil if there is none, `tooLarge`
    /// for circular views and those nested too deeply.
    func size(_ name: RawText) -> ExpandedSize? {
        guard let object = objects[name] else { return nil }
        if let size = object.size { return size }
        if object.isOpen {
            objects[name]?.isCircular = true
            return .tooLarge
        }
        objects[name]?.isOpen = true
        var depth = 0
        var size = ExpandedSize(
            tokens: SQLScanner.measure(object.text).tokens + object.indexTokens, tables: 1 + object.indexes)
        if object.isView {
            size = ExpandedSize.of(object.text) { used, _ in
                let size = self.size(used)
                depth = max(depth, self.objects[used]?.depth ?? 0)
                return size
            }
            depth += 1
            if depth > Self.depthLimit { size = .tooLarge }
        }
        objects[name]?.isOpen = false
        objects[name]?.depth = depth
        objects[name]?.size = size
        return size
    }

    /// Returns the size that a table of this folded name adds to a statement that writes to it. It includes all tables
    /// whose foreign keys lead to it, directly or not, because SQLite compiles their actions and checks.
    func writtenSize(_ name: RawText) -> ExpandedSize? {
        guard let size = size(name) else { return nil }
        guard children[name] != nil else { return size }
        if let known = writtenSizes[name] { return known }
        var reached: Set<RawText> = [name]
        var open = [name]
        var total = size
        while let table = open.popLast(), total.tokens <= ExpandedSize.limit {
            for child in children[table] ?? [] where reached.insert(child).inserted {
                if let size = self.size(child) { total += size }
                open.append(child)
            }
        }
        writtenSizes[name] = total
        return total
    }

    /// Returns the folded names of the tables that foreign keys in a definition reference.
    private static func parents(_ text: RawText) -> [RawText] {
        var scanner = SQLScanner(text)
        var parents: [RawText] = []
        while let token = scanner.next() {
            guard scanner.isWord(token, "references"), let parent = scanner.next() else { continue }
            if let name = scanner.name(parent) { parents.append(name.foldedASCII) }
        }
        return parents
    }

    /// The fault of the first object, by name, that is too large, or of the whole schema; nil if there is none.
    var violation: StatementFault? {
        if let wide {
            return StatementFault(
                "\(wide) has a literal or name of more than \(CostModel.schemaLiteral.value) bytes: store it in a row"
            )
        }
        var total = 0
        for name in objects.keys.sorted() {
            guard let size = size(name), let object = objects[name] else { continue }
            if object.isCircular { return StatementFault("view \(name) uses itself") }
            if object.depth > Self.depthLimit {
                return StatementFault(
                    "view \(name) is the top of more than \(Self.depthLimit) views, each on the next")
            }
            guard size.tokens <= CostModel.objectTokens.value else {
                let limit = CostModel.objectTokens.value
                return StatementFault(
                    "\(object.isView ? "view" : "table") \(name) has more than \(limit) tokens with all that it uses"
                )
            }
            total += size.tokens
        }
        if total <= CostModel.schemaTokens.value { return nil }
        return StatementFault(
            "tables, indexes and views have more than \(CostModel.schemaTokens.value) tokens")
    }
}
