import Bytes

/// How large the tables and views of a database are where statements use them (`ExpandedSize`): a view with all that it
/// uses in its place, a table with its indexes, which each write to it compiles.
final class SchemaSizes {
    private struct Object {
        let text: RawText
        let isView: Bool
        /// How many indexes a table has, and their tokens.
        var indexes = 0
        var indexTokens = 0
        var size: ExpandedSize?
        /// Views on the longest way down from this one, itself included.
        var depth = 0
        /// Whether its size is being computed.
        var isOpen = false
        /// Whether it was used while its size was being computed: SQLite cannot use such a view.
        var isCircular = false
    }

    private static let depthLimit = CostModel.viewDepth.value

    private var objects: [RawText: Object] = [:]
    /// The tables whose foreign keys point at one.
    private var children: [RawText: [RawText]] = [:]
    private var writtenSizes: [RawText: ExpandedSize] = [:]
    /// Bytes of the longest text of a table, view or index, which SQLite handles when the schema changes.
    private(set) var longestText = 0
    /// The first object that holds a token longer than `CostModel.schemaLiteral`.
    private var wide: RawText?

    /// Reads the schema that the connection sees now.
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

    /// How many indexes the table of this folded name has, those that SQLite makes for keys included.
    func indexes(of table: RawText) -> Int { objects[table]?.indexes ?? 0 }

    /// What a table or view of this folded name adds to a statement; nil if there is none. Too much for views that use
    /// each other in a circle, and for those that are too deep.
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

    /// What a table of this folded name adds to a statement that writes to it: SQLite compiles the actions and checks of
    /// the tables whose foreign keys point at it, and of those that point at them.
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

    /// The tables at which a table's text has foreign keys point, folded.
    private static func parents(_ text: RawText) -> [RawText] {
        var scanner = SQLScanner(text)
        var parents: [RawText] = []
        while let token = scanner.next() {
            guard scanner.isWord(token, "references"), let parent = scanner.next() else { continue }
            if let name = scanner.name(parent) { parents.append(name.foldedASCII) }
        }
        return parents
    }

    /// The first object, by name, that is too large, or the reason why all together are; nil if all is well.
    var violation: StatementFault? {
        if let wide {
            return .refused(
                "\(wide) has a literal or name of more than \(CostModel.schemaLiteral.value) bytes: store it in a row"
            )
        }
        var total = 0
        for name in objects.keys.sorted() {
            guard let size = size(name), let object = objects[name] else { continue }
            if object.isCircular { return .refused("view \(name) uses itself") }
            if object.depth > Self.depthLimit {
                return .refused(
                    "view \(name) is the top of more than \(Self.depthLimit) views, each on the next")
            }
            guard size.tokens <= CostModel.objectTokens.value else {
                let limit = CostModel.objectTokens.value
                return .refused(
                    "\(object.isView ? "view" : "table") \(name) has more than \(limit) tokens with all that it uses"
                )
            }
            total += size.tokens
        }
        if total <= CostModel.schemaTokens.value { return nil }
        return .refused("tables, indexes and views have more than \(CostModel.schemaTokens.value) tokens")
    }
}
