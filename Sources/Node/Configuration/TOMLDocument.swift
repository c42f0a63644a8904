import CShims

/// A TOML 1.0 document (toml.io/en/v1.0.0), parsed by toml++ into Swift values that know their places.
struct TOMLDocument {
    typealias Place = ConfigurationError.Place
    private typealias Values = UnsafeBufferPointer<apus_toml_value>

    /// A key with its value.
    struct Entry {
        let key: String
        let place: Place
        let valuePlace: Place
        /// The entries of a table, ordered by the bytes of their keys, which are unique; nil for any other value.
        let table: [Entry]?
        /// Nil for a table, an array of anything but strings, a float, a date or a time.
        let value: ConfigurationValue?
    }

    /// The entries of the root table.
    let root: [Entry]

    /// Parses a document. Throws `.syntax` for no TOML, no UTF-8, a duplicate key, an integer beyond 64 bits, or too deep
    /// nesting. `file` appears in places only.
    init(_ text: [UInt8], file: String) throws(ConfigurationError) {
        var error = apus_toml_error()
        guard let document = apus_toml_parse(text, text.count, &error) else {
            let reason = withUnsafeBytes(of: error.reason) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            throw .syntax(Place(error.position, file), reason)
        }
        defer { apus_toml_free(document) }
        var count = 0
        let values = Values(start: apus_toml_values(document, &count), count: count)
        root = values.isEmpty ? [] : Self.entries(of: 0, in: values, file)
    }

    // The recursion is safe, because the parser limits the depth (`apus_toml_depth`).
    private static func entries(of table: Int, in values: Values, _ file: String) -> [Entry] {
        children(of: table, in: values).map { index in
            let value = values[index]
            return Entry(
                key: text(value.key, value.key_count), place: Place(value.key_position, file),
                valuePlace: Place(value.position, file),
                table: value.kind == APUS_TOML_TABLE ? entries(of: index, in: values, file) : nil,
                value: self.value(index, in: values))
        }
    }

    private static func value(_ index: Int, in values: Values) -> ConfigurationValue? {
        let value = values[index]
        switch value.kind {
        case APUS_TOML_STRING: return .text(text(value.text, value.text_count))
        case APUS_TOML_INTEGER: return .number(Int(value.integer))
        case APUS_TOML_BOOLEAN: return .flag(value.integer != 0)
        case APUS_TOML_ARRAY:
            let elements = children(of: index, in: values).map { values[$0] }
            guard elements.allSatisfy({ $0.kind == APUS_TOML_STRING }) else { return nil }
            return .list(elements.map { text($0.text, $0.text_count) })
        default: return nil
        }
    }

    private static func children(of parent: Int, in values: Values) -> [Int] {
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

extension ConfigurationError.Place {
    fileprivate init(_ position: apus_toml_position, _ file: String) {
        self.init(file: file, line: Int(position.line), column: Int(position.column))
    }
}
