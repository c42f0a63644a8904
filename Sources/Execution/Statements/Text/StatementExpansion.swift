import Bytes

/// Computes the `ExpandedSize` of a statement by walking its tokens and those of the views and common table expressions
/// that it uses.
struct StatementExpansion {
    /// Returns the size that a table or view of this folded name adds where it is read or written; nil if there is
    /// none.
    typealias Object = (_ name: RawText, _ isWritten: Bool) -> ExpandedSize?

    private static let limit = ExpandedSize.limit
    /// The maximum nesting of parentheses and expressions; SQLite's parser allows less.
    private static let depthLimit = 400

    /// One expression of a WITH clause. It does not refer to its scope, which holds it.
    private final class Definition {
        let body: Range<Int>
        var size: ExpandedSize?
        /// Whether its size is being computed, so that a use of it is recursive.
        var isOpen = false

        init(_ body: Range<Int>) { self.body = body }
    }

    /// The expressions that a WITH clause defines for itself and for the rest of its parentheses.
    private final class Scope {
        var definitions: [RawText: Definition] = [:]
        let outer: Scope?

        init(_ outer: Scope?) { self.outer = outer }

        /// Returns the definition of a name and the scope that holds it.
        func find(_ name: RawText) -> (Definition, Scope)? {
            var scope: Scope? = self
            while let present = scope {
                if let definition = present.definitions[name] { return (definition, present) }
                scope = present.outer
            }
            return nil
        }
    }

    private let scanner: SQLScanner
    private let tokens: [SQLScanner.Token]
    /// The index of the closing parenthesis for each opening one; the number of tokens if there is none.
    private let closing: [Int]
    /// The index of the opening parenthesis for each closing one.
    private let opening: [Int: Int]
    private let object: Object
    private var depth = 0

    /// The size of the whole statement.
    var size: ExpandedSize {
        mutating get { of(0..<tokens.count, Scope(nil), inFrom: false) }
    }

    init(_ text: RawText, object: @escaping Object) {
        var scanner = SQLScanner(text)
        var tokens: [SQLScanner.Token] = []
        var pairs: [(start: Int, end: Int)] = []
        var open: [Int] = []
        while let token = scanner.next() {
            switch token.kind {
            case .punctuation(UInt8(ascii: "(")): open.append(tokens.count)
            case .punctuation(UInt8(ascii: ")")):
                if let start = open.popLast() { pairs.append((start, tokens.count)) }
            default: break
            }
            tokens.append(token)
        }
        var closing = Array(repeating: tokens.count, count: tokens.count)
        for pair in pairs { closing[pair.start] = pair.end }
        opening = Dictionary(uniqueKeysWithValues: pairs.map { ($0.end, $0.start) })
        self.scanner = scanner
        self.tokens = tokens
        self.closing = closing
        self.object = object
    }

    /// Returns the size of a range of tokens. `scope` applies at its start; `inFrom` means that the range is, or
    /// continues, the list of a FROM clause.
    private mutating func of(_ range: Range<Int>, _ scope: Scope, inFrom: Bool) -> ExpandedSize {
        guard depth < Self.depthLimit else { return .tooLarge }
        depth += 1
        defer { depth -= 1 }
        var (scope, inFrom, total, index) = (scope, inFrom, ExpandedSize(), range.lowerBound)
        while index < range.upperBound, total.tokens <= Self.limit {
            if let clause = clause(at: index, in: range, scope) {
                // The definitions count once for their text, and again wherever they are used.
                total += ExpandedSize(tokens: clause.end - index)
                (scope, index) = (clause.scope, clause.end)
            } else if isMark("(", index) {
                let end = min(closing[index], range.upperBound)
                total += ExpandedSize(tokens: 2)
                total += of(index + 1..<max(end, index + 1), scope, inFrom: inFrom)
                index = end + 1
            } else {
                if isWord("from", index) || isWord("join", index) { inFrom = true }
                if inFrom, endsFrom(index) { inFrom = false }
                total += ExpandedSize(tokens: 1, operators: operators(at: index, inFrom))
                total += used(at: index, scope, inFrom)
                index += 1
            }
        }
        return total
    }

    private static let connectives: [StaticString] = [
        "and", "or", "between", "like", "glob", "isnull", "notnull", "using",
    ]

    /// Returns the number of comparisons that a token represents.
    private func operators(at index: Int, _ inFrom: Bool) -> Int {
        // One for each common column of two tables.
        if isWord("natural", index) { return CostModel.columns.value }
        // USING (a, b).
        if inFrom, isMark(",", index) { return 1 }
        if Self.connectives.contains(where: { isWord($0, index) }) { return 1 }
        let isComparison =
            isMark("=", index) || isMark("<", index) || isMark(">", index) || isWord("is", index)
            || isWord("in", index)
        guard isComparison else { return 0 }
        // (a, b) = (c, d).
        return 1 + (opening[index - 1].map { (index - $0) / 2 } ?? 0)
    }

    /// The words that end the list of a FROM clause; as names they would need quotation marks.
    private static let ends: [StaticString] = [
        "select", "where", "group", "having", "order", "limit", "union", "except", "intersect", "set",
        "values", "returning",
    ]

    private func endsFrom(_ index: Int) -> Bool { Self.ends.contains { isWord($0, index) } }

    /// Returns the size that SQLite substitutes for a table's name or an asterisk.
    private mutating func used(at index: Int, _ scope: Scope, _ inFrom: Bool) -> ExpandedSize {
        if isMark("*", index) { return ExpandedSize(tokens: isList(index) ? CostModel.columns.value : 0) }
        guard isTable(index, inFrom), let name = name(index) else { return ExpandedSize() }
        guard let (definition, home) = scope.find(name) else {
            return object(name, isWritten(index)) ?? ExpandedSize(tables: inFrom ? 1 : 0)
        }
        if let size = definition.size { return size }
        if definition.isOpen { return ExpandedSize(tables: 1) }
        definition.isOpen = true
        var size = ExpandedSize(tables: 1)
        size += of(definition.body, home, inFrom: false)
        definition.size = size
        return size
    }

    /// Returns whether an asterisk represents columns.
    private func isList(_ index: Int) -> Bool {
        isMark(",", index - 1) || isMark(".", index - 1)
            || ["select", "distinct", "all", "returning"].contains { isWord($0, index - 1) }
    }

    /// Returns whether SQLite's grammar allows a table at a position. A name before a dot is a schema.
    private func isTable(_ index: Int, _ inFrom: Bool) -> Bool {
        if isMark(".", index + 1) { return false }
        if isMark(".", index - 1) { return name(index - 2) == "main" }
        if inFrom, isMark(",", index - 1) || isMark("(", index - 1) { return true }
        // UPDATE OR IGNORE t.
        if isWord("or", index - 2), isWord("update", index - 3) { return true }
        return ["from", "join", "in", "into", "update"].contains { isWord($0, index - 1) }
    }

    /// Returns whether the table at a position is the target of an INSERT, UPDATE or DELETE.
    private func isWritten(_ index: Int) -> Bool {
        let before = isMark(".", index - 1) ? index - 3 : index - 1
        if isWord("into", before) || isWord("update", before) { return true }
        return isWord("from", before) && isWord("delete", before - 1)
            || isWord("or", before - 1) && isWord("update", before - 2)
    }

    /// Returns the scope and the end of the WITH clause that starts at a token, if there is one.
    private func clause(at start: Int, in range: Range<Int>, _ outer: Scope) -> (scope: Scope, end: Int)? {
        guard isWord("with", start) else { return nil }
        var index = start + 1
        if isWord("recursive", index), !isWord("as", index + 1), !isMark("(", index + 1) { index += 1 }
        let scope = Scope(outer)
        while true {
            guard index < range.upperBound, let name = name(index) else { return nil }
            index += 1
            if isMark("(", index) { index = closing[index] + 1 }
            guard isWord("as", index) else { return nil }
            index += 1
            if isWord("not", index) { index += 1 }
            if isWord("materialized", index) { index += 1 }
            guard isMark("(", index), closing[index] < range.upperBound else { return nil }
            let end = closing[index]
            // SQLite rejects two definitions of one name.
            scope.definitions[name] = Definition(index + 1..<end)
            index = end + 1
            guard isMark(",", index) else { return (scope, index) }
            index += 1
        }
    }

    // MARK: Tokens

    /// Returns the folded name that a token denotes; nil if it is not a name.
    private func name(_ index: Int) -> RawText? {
        tokens.indices.contains(index) ? scanner.name(tokens[index])?.foldedASCII : nil
    }

    private func isWord(_ word: StaticString, _ index: Int) -> Bool {
        guard tokens.indices.contains(index), case .word = tokens[index].kind else { return false }
        return scanner.isWord(tokens[index], word)
    }

    private func isMark(_ character: Unicode.Scalar, _ index: Int) -> Bool {
        guard tokens.indices.contains(index), case .punctuation(let byte) = tokens[index].kind else {
            return false
        }
        return byte == UInt8(ascii: character)
    }
}
