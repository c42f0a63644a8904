import Bytes

/// Computes the `ExpandedSize` of a statement: walks its tokens, and theirs where they use views and expressions.
struct StatementExpansion {
    /// What a table or view of this folded name adds where it is used, or written; nil for another name.
    typealias Object = (_ name: RawText, _ isWritten: Bool) -> ExpandedSize?

    private static let limit = ExpandedSize.limit
    /// Parentheses and uses within uses: SQLite's own parser goes less deep.
    private static let depthLimit = 400

    /// One expression of a WITH clause.
    private final class Definition {
        let body: Range<Int>
        let scope: Scope
        var size: ExpandedSize?
        /// Whether its size is being computed, so that a use of it is its own recursion.
        var isOpen = false

        init(_ body: Range<Int>, _ scope: Scope) {
            self.body = body
            self.scope = scope
        }
    }

    /// The expressions that a WITH clause defines, for itself and for what follows it in its parentheses.
    private final class Scope {
        var definitions: [RawText: Definition] = [:]
        let outer: Scope?

        init(_ outer: Scope?) { self.outer = outer }

        func find(_ name: RawText) -> Definition? {
            var scope: Scope? = self
            while let present = scope {
                if let definition = present.definitions[name] { return definition }
                scope = present.outer
            }
            return nil
        }
    }

    private let scanner: SQLScanner
    private let tokens: [SQLScanner.Token]
    /// Of each opening parenthesis, the token that closes it; the number of tokens if there is none.
    private let closing: [Int]
    /// Of each closing parenthesis, the token that opens it.
    private let opening: [Int: Int]
    private let object: Object
    private var depth = 0

    /// The size of all.
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

    /// The size of a range of tokens, in which `scope` holds at the start. `inFrom`: the range is, or continues, the list
    /// of a FROM.
    private mutating func of(_ range: Range<Int>, _ scope: Scope, inFrom: Bool) -> ExpandedSize {
        guard depth < Self.depthLimit else { return .tooLarge }
        depth += 1
        defer { depth -= 1 }
        var (scope, inFrom, total, index) = (scope, inFrom, ExpandedSize(), range.lowerBound)
        while index < range.upperBound, total.tokens <= Self.limit {
            if let clause = clause(at: index, in: range, scope) {
                // What is defined counts where it is used, and once for its text.
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

    /// How many comparisons a token stands for.
    private func operators(at index: Int, _ inFrom: Bool) -> Int {
        // As many as two tables have columns in common.
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

    /// Words that end a FROM's list and can be no names without quotation marks.
    private static let ends: [StaticString] = [
        "select", "where", "group", "having", "order", "limit", "union", "except", "intersect", "set",
        "values",
        "returning",
    ]

    private func endsFrom(_ index: Int) -> Bool { Self.ends.contains { isWord($0, index) } }

    /// What SQLite puts in the place of a table's name or an asterisk.
    private mutating func used(at index: Int, _ scope: Scope, _ inFrom: Bool) -> ExpandedSize {
        if isMark("*", index) { return ExpandedSize(tokens: isList(index) ? CostModel.columns.value : 0) }
        guard isTable(index, inFrom), let name = name(index) else { return ExpandedSize() }
        guard let definition = scope.find(name) else {
            return object(name, isWritten(index)) ?? ExpandedSize(tables: inFrom ? 1 : 0)
        }
        if let size = definition.size { return size }
        if definition.isOpen { return ExpandedSize(tables: 1) }
        definition.isOpen = true
        var size = ExpandedSize(tables: 1)
        size += of(definition.body, definition.scope, inFrom: false)
        definition.size = size
        return size
    }

    /// Whether an asterisk stands for columns.
    private func isList(_ index: Int) -> Bool {
        isMark(",", index - 1) || isMark(".", index - 1)
            || ["select", "distinct", "all", "returning"].contains { isWord($0, index - 1) }
    }

    /// Whether SQLite's grammar may have a table at a place. A name before a dot is no table's but a schema's.
    private func isTable(_ index: Int, _ inFrom: Bool) -> Bool {
        if isMark(".", index + 1) { return false }
        if isMark(".", index - 1) { return name(index - 2) == "main" }
        if inFrom, isMark(",", index - 1) || isMark("(", index - 1) { return true }
        // UPDATE OR IGNORE t.
        if isWord("or", index - 2), isWord("update", index - 3) { return true }
        return ["from", "join", "in", "into", "update"].contains { isWord($0, index - 1) }
    }

    /// Whether the table at a place is what an INSERT, UPDATE or DELETE writes to.
    private func isWritten(_ index: Int) -> Bool {
        let before = isMark(".", index - 1) ? index - 3 : index - 1
        if isWord("into", before) || isWord("update", before) { return true }
        return isWord("from", before) && isWord("delete", before - 1)
            || isWord("or", before - 1) && isWord("update", before - 2)
    }

    /// The WITH clause that begins at a token: the scope that it makes, and where it ends.
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
            // Of two with one name SQLite takes neither.
            scope.definitions[name] = Definition(index + 1..<end, scope)
            index = end + 1
            guard isMark(",", index) else { return (scope, index) }
            index += 1
        }
    }

    // MARK: Tokens

    /// The folded name that a token is; nil for what is none, such as a string.
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
