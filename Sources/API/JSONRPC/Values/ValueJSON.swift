import Bytes
import Chain
import JSON

/// A typed value in the JSON of `user.query`: its type, and each element in base64 after a byte that is 0 for null (the
/// `encodedValue` schema of Kwil's OpenRPC documents).
enum ValueJSON {
    /// Reads a value. Throws `JSONError` if the JSON has the wrong shape, `JSONRPC.Failure` if the value is invalid.
    static func read(_ value: JSONValue) throws -> Value {
        var members = try value.members()
        let type = try members.value("type")
        var inner = try type.members()
        let nameText = try inner.value("name").text()
        let isArray = try inner.value("is_array").flag()
        // One number too many is enough to refuse them.
        let metadata =
            try inner.optional("metadata")?.array().prefix(3).map { try $0.integer(UInt16.self) } ?? []
        let elements = try members.value("data").array().map { try $0.base64() }
        guard let name = DataType.Name(rawValue: nameText.string) else {
            throw JSONRPC.Failure(.invalidParameters, "unknown data type \(nameText)")
        }
        guard metadata.isEmpty || metadata.count == 2 else {
            throw JSONRPC.Failure(.invalidParameters, "metadata must be two numbers")
        }
        let dataType = DataType(
            name, isArray: isArray, precision: metadata.first ?? 0, scale: metadata.last ?? 0)
        do {
            return try Value(dataType, encodedElements: elements)
        } catch {
            throw JSONRPC.Failure(.invalidParameters, "\(error)")
        }
    }

    /// Reads a cell that `JSONWriter.cell` wrote. The type, from the column or `cell_types`, decides what a string
    /// stands for. An array is returned as its JSON text.
    static func cell(_ value: JSONValue, _ type: DataType.Name) throws(JSONError) -> Value {
        switch (value.kind, type) {
        case (.null, _): return .null
        case (.flag, _): return .bool(try value.flag())
        case (.integer, _): return .int8(try value.integer())
        case (.text, .bytea): return .bytea(try value.base64())
        case (.text, .numeric):
            let digits = try value.string()
            return Value.numeric(digits, precision: 0, scale: 0) ?? .text(digits)
        case (.text, _): return .text(try value.string())
        case (.decimal, _), (.array, _), (.object, _):
            var writer = JSONWriter()
            writer.value(value)
            return .text(String(decoding: writer.bytes, as: UTF8.self))
        }
    }
}

extension JSONWriter {
    /// Writes a typed value for `user.query`.
    mutating func value(_ value: Value) {
        object {
            $0.name("type")
            $0.dataType(value.type)
            $0.array("data", of: value.encodedElements) { $0.base64($1) }
        }
    }

    /// Writes the type of a column or value.
    mutating func dataType(_ type: DataType) {
        object {
            $0.member("name", text: type.name.rawValue)
            $0.member("is_array", flag: type.isArray)
            $0.array("metadata") {
                $0.integer(type.precision)
                $0.integer(type.scale)
            }
        }
    }

    /// Writes an entry of `cell_types`: the type of a cell that differs from its column's.
    mutating func cellType(_ cell: (row: Int, column: Int, type: DataType.Name)) {
        object {
            $0.member("row", integer: cell.row)
            $0.member("column", integer: cell.column)
            $0.member("type", text: cell.type.rawValue)
        }
    }

    /// Writes a cell of a query's result: as JSON's own types where they fit, bytes in base64, numerics as strings.
    public mutating func cell(_ value: Value) {
        guard value.scalar == nil else { return cell(value.elements.first ?? .null) }
        array { list in
            for element in value.elements { list.cell(element) }
        }
    }

    private mutating func cell(_ element: Value.Element) {
        switch element {
        case .null: null()
        case .text(let text), .numeric(let text): self.text(text)
        case .int8(let number): integer(number)
        case .bytea(let bytes): base64(bytes)
        case .uuid(let bytes): self.text(Value.uuidText(bytes))
        case .bool(let flag): self.flag(flag)
        }
    }
}

extension Value {
    /// Whether the value is a string in JSON, so that only its type decides what it stands for.
    var isTextInJSON: Bool {
        switch scalar {
        case .text, .numeric, .bytea, .uuid: true
        case .null, .int8, .bool, nil: false
        }
    }
}
