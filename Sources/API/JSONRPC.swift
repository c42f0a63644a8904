/// The envelope of JSON-RPC 2.0 (jsonrpc.org specification): requests with an identifier, results and errors.
public enum JSONRPC {
    /// The only version there is.
    public static let version = "2.0"

    /// Requests in one batch at most: one page of work, so that a batch cannot hold a connection for long.
    public static let maximumBatch = 1_000

    /// A request's identifier: text, a whole number or null.
    public enum ID: Codable, Sendable, Equatable {
        case number(Int64)
        case text(String)
        case null

        /// Decodes a scalar; anything else is an invalid request.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let number = try? container.decode(Int64.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        /// Encodes the scalar.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let number): try container.encode(number)
            case .text(let text): try container.encode(text)
            case .null: try container.encodeNil()
            }
        }
    }

    /// Codes of the specification and of Kwil's services.
    public enum Code: Int, Codable, Sendable {
        case parse = -32700
        case invalidRequest = -32600
        case unknownMethod = -32601
        case invalidParameters = -32602
        case `internal` = -32603
        case timeout = -32001
        case transactionInternal = -200
        case broadcastRejected = -201
        case transactionNotFound = -202
        case blockNotFound = -204
        case engine = -300
    }

    /// The error member of a response.
    public struct Failure: Error, Codable, Sendable, Equatable, CustomStringConvertible {
        /// A number, because a server may send codes that this client does not know.
        public var code: Int
        /// One line.
        public var message: String
        /// What Kwil's clients read about a refused transaction.
        public var data: BroadcastRefusal?

        /// An error with a known code.
        public init(_ code: Code, _ message: String, data: BroadcastRefusal? = nil) {
            self.code = code.rawValue
            self.message = message
            self.data = data
        }

        /// One line.
        public var description: String { "\(message) (JSON-RPC error \(code))" }
    }

    /// Details of a transaction that was refused.
    public struct BroadcastRefusal: Codable, Sendable, Equatable {
        /// The transaction code of Kwil's list.
        public var code: UInt32
        /// The transaction ID in hexadecimal, empty if it could not be decoded.
        public var hash: String
        /// One line.
        public var message: String

        /// All members.
        public init(code: UInt32, hash: String, message: String) {
            self.code = code
            self.hash = hash
            self.message = message
        }
    }

    struct Response: Encodable {
        var id: ID
        var result: Result<any Encodable & Sendable, Failure>

        private enum Keys: String, CodingKey {
            case jsonrpc, id, result, error
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(JSONRPC.version, forKey: .jsonrpc)
            switch result {
            case .success(let value): try container.encode(value, forKey: .result)
            case .failure(let failure): try container.encode(failure, forKey: .error)
            }
            try container.encode(id, forKey: .id)
        }
    }
}
