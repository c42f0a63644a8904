import Crypto
import Foundation
import Multiformats

/// Any JSON value, for files of which errors must name the field.
enum JSONValue: Decodable, Equatable {
    case null
    case flag(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .flag(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }
}

/// The fields of one object, taken one by one; what is left at the end is refused. A null is as good as no field.
struct Fields {
    /// The object's place in the file; empty for the whole.
    let path: String
    private var fields: [String: JSONValue]

    init(_ value: JSONValue, _ path: String) throws(GenesisJSON.Failure) {
        guard case .object(let fields) = value else {
            throw GenesisJSON.Failure(path, "must be an object")
        }
        self.path = path
        self.fields = fields.filter { $0.value != .null }
    }

    private func failure(_ name: String, _ reason: String) -> GenesisJSON.Failure {
        GenesisJSON.Failure(path.isEmpty ? name : "\(path).\(name)", reason)
    }

    func has(_ name: String) -> Bool { fields[name] != nil }

    mutating func value(_ name: String) throws(GenesisJSON.Failure) -> JSONValue {
        guard let value = fields.removeValue(forKey: name) else { throw failure(name, "is missing") }
        return value
    }

    mutating func text(_ name: String) throws(GenesisJSON.Failure) -> String {
        guard case .text(let text) = try value(name) else { throw failure(name, "must be a text") }
        return text
    }

    mutating func integer(_ name: String) throws(GenesisJSON.Failure) -> Int64 {
        guard case .integer(let number) = try value(name) else {
            throw failure(name, "must be a whole number of at most 64 bits")
        }
        return number
    }

    mutating func flag(_ name: String) throws(GenesisJSON.Failure) -> Bool {
        guard case .flag(let flag) = try value(name) else { throw failure(name, "must be true or false") }
        return flag
    }

    mutating func list(_ name: String) throws(GenesisJSON.Failure) -> [JSONValue] {
        guard case .list(let list) = try value(name) else { throw failure(name, "must be a list") }
        return list
    }

    mutating func key(_ name: String, _ type: String) throws(GenesisJSON.Failure) -> PublicKey {
        let text = try text(name)
        guard let type = try? KeyType(name: type) else {
            throw failure(name, "has the unknown key type \(type.debugDescription)")
        }
        guard let bytes = try? Hex.decode(text), let key = try? PublicKey(type: type, bytes: bytes) else {
            throw failure(name, "is not the hex of a public key of type \(type.name)")
        }
        return key
    }

    /// An amount as text, or as a number where 64 bits hold it.
    mutating func amount(_ name: String) throws(GenesisJSON.Failure) -> Amount {
        switch try value(name) {
        case .integer(let number): return Amount(number)
        case .text(let text):
            guard let amount = Amount(text) else { throw failure(name, "is not a decimal integer") }
            return amount
        default: throw failure(name, "must be a decimal integer as text")
        }
    }

    /// A duration such as `168h0m0s`, or whole nanoseconds.
    mutating func nanoseconds(_ name: String) throws(GenesisJSON.Failure) -> Int64 {
        switch try value(name) {
        case .integer(let number): return number
        case .text(let text):
            guard let nanoseconds = DurationText.nanoseconds(text) else {
                throw failure(name, "is not a duration such as \"168h0m0s\", at most 292 years")
            }
            return nanoseconds
        default: throw failure(name, "must be a duration such as \"168h0m0s\"")
        }
    }

    /// Refuses fields that nobody asked for, the first by name.
    func finish() throws(GenesisJSON.Failure) {
        if let name = fields.keys.min() { throw failure(name, "is unknown") }
    }
}
