import CShims

/// A TOML 1.0 document (toml.io/en/v1.0.0), parsed by toml++ into Swift values that know their positions.
struct TOMLDocument {
    /// A position in the text. Both numbers count from 1, columns in code points; 0 means unknown.
    struct Position: Sendable, Equatable {
        var line: Int
        var column: Int
    }

    /// Why a text is invalid: no TOML, no UTF-8, a duplicate key, an integer beyond 64 bits, or too deep nesting.
    struct Failure: Error {
        let position: Position
        /// One line, unless it quotes a line break of the text.
        let reason: String
    }

    struct Value {
        enum Content {
            /// Ordered by the bytes of the keys, which are unique.
            case table([Entry])
            case array([Value])
            case string(String)
            case integer(Int64)
            case boolean(Bool)
            /// A float, a date or a time.
            case other
        }

        let position: Position
        let content: Content
    }

    struct Entry {
        let key: String
        let position: Position
        let value: Value
    }

    /// The entries of the root table.
    let root: [Entry]

    /// Parses a document.
    init(_ text: [UInt8]) throws(Failure) {
        var error = apus_toml_error()
        guard let document = apus_toml_parse(text, text.count, &error) else {
            let reason = withUnsafeBytes(of: error.reason) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            throw Failure(position: Position(error.position), reason: reason)
        }
        defer { apus_toml_free(document) }
        var count = 0
        let values = UnsafeBufferPointer(start: apus_toml_values(document, &count), count: count)
        root = values.isEmpty ? [] : Self.entries(of: 0, in: values)
    }

    // The recursion is safe, because the parser limits the depth (`apus_toml_depth`).
    private static func entries(of table: Int, in values: UnsafeBufferPointer<apus_toml_value>) -> [Entry] {
        children(of: table, in: values).map { index in
            let value = values[index]
            return Entry(
                key: text(value.key, value.key_count), position: Position(value.key_position),
                value: self.value(index, in: values))
        }
    }

    private static func value(_ index: Int, in values: UnsafeBufferPointer<apus_toml_value>) -> Value {
        let value = values[index]
        let content: Value.Content =
            switch value.kind {
            case APUS_TOML_TABLE: .table(entries(of: index, in: values))
            case APUS_TOML_ARRAY: .array(children(of: index, in: values).map { self.value($0, in: values) })
            case APUS_TOML_STRING: .string(text(value.text, value.text_count))
            case APUS_TOML_INTEGER: .integer(value.integer)
            case APUS_TOML_BOOLEAN: .boolean(value.integer != 0)
            default: .other
            }
        return Value(position: Position(value.position), content: content)
    }

    private static func children(
        of parent: Int, in values: UnsafeBufferPointer<apus_toml_value>
    ) -> [Int] {
        var indices: [Int] = []
        var next = parent + 1
        while next < values[parent].end {
            indices.append(next)
            next = values[next].end
        }
        return indices
    }

    /// The parser has checked that the bytes are UTF-8.
    private static func text(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> String {
        String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }
}

extension TOMLDocument.Position {
    fileprivate init(_ position: apus_toml_position) {
        self.init(line: Int(position.line), column: Int(position.column))
    }
}
