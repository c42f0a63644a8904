import Chain
import Foundation
import Multiformats

/// A typed value as Kwil's clients send it in `user.query`: its type, and each element in base64 with a leading byte
/// that is 0 for null (the `encodedValue` schema).
struct EncodedValueJSON: Codable, Sendable {
    struct DataTypeJSON: Codable, Sendable {
        var name: String
        var isArray: Bool
        var metadata: [UInt16]?
    }

    var type: DataTypeJSON
    var data: [Data]

    init(_ value: Value) {
        type = DataTypeJSON(value.type)
        data = value.encodedElements.map { Data($0) }
    }

    func value() throws(JSONRPC.Failure) -> Value {
        guard let name = DataType.Name(rawValue: type.name) else {
            throw JSONRPC.Failure(.invalidParameters, "unknown data type \"\(type.name)\"")
        }
        let metadata = type.metadata ?? []
        guard metadata.isEmpty || metadata.count == 2 else {
            throw JSONRPC.Failure(.invalidParameters, "metadata is not two numbers")
        }
        let dataType = DataType(
            name, isArray: type.isArray,
            metadata: metadata.isEmpty ? (0, 0) : (metadata[0], metadata[1]))
        do {
            return try Value(dataType, encodedElements: data.map { Array($0) })
        } catch {
            throw JSONRPC.Failure(.invalidParameters, "\(error)")
        }
    }
}

extension EncodedValueJSON.DataTypeJSON {
    init(_ type: DataType) {
        name = type.name.rawValue
        isArray = type.isArray
        metadata = [type.metadata.0, type.metadata.1]
    }
}

/// A cell of a query's result: JSON's own types where they fit, byte strings in base64, numerics as text.
struct CellJSON: Codable, Sendable {
    var value: Value

    init(_ value: Value) { self.value = value }

    /// Reads what `encode` writes, as far as JSON keeps it: text, whole numbers, truth values, null.
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            value = .null
        } else if let flag = try? container.decode(Bool.self) {
            value = .bool(flag)
        } else if let number = try? container.decode(Int64.self) {
            value = .int8(number)
        } else {
            value = .text(try container.decode(String.self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        if let scalar = value.scalar {
            var container = encoder.singleValueContainer()
            switch scalar {
            case .null: try container.encodeNil()
            case .text(let text), .numeric(let text): try container.encode(text)
            case .int8(let number): try container.encode(number)
            case .bytea(let bytes): try container.encode(Data(bytes.array))
            case .uuid(let bytes): try container.encode(Self.text(uuid: bytes.array))
            case .bool(let flag): try container.encode(flag)
            }
        } else {
            var container = encoder.unkeyedContainer()
            for element in value.elements {
                try container.encode(CellJSON(Value(element)))
            }
        }
    }

    private static func text(uuid bytes: [UInt8]) -> String {
        var digits = Array(Hex.encode(bytes))
        for position in [20, 16, 12, 8] where position < digits.count { digits.insert("-", at: position) }
        return String(digits)
    }
}
