import JSON

/// The envelope of JSON-RPC 2.0 (jsonrpc.org specification): requests with an identifier, results and errors.
public enum JSONRPC {
    /// The only supported version.
    public static let version = "2.0"

    /// The maximum number of requests in a batch, so that a batch cannot hold a connection for long.
    public static let maximumBatch = 1_000

    /// The maximum nesting depth of a request; a batch with a query's typed parameters has 7.
    static let maximumDepth = 32

    /// Returns an error response to a request with this ID.
    static func response(_ failure: Failure, to id: RPCRequest.ID = .null) -> [UInt8] {
        var writer = JSONWriter()
        writer.object {
            $0.member("jsonrpc", text: version)
            $0.name("error")
            failure.write(to: &$0)
            $0.id(id)
        }
        return writer.bytes
    }

    /// Error codes of the specification and of Kwil's services; `limitExceeded` is Ethereum's (EIP-1474).
    public enum Code: Int, Sendable {
        case parse = -32700
        case invalidRequest = -32600
        case unknownMethod = -32601
        case invalidParameters = -32602
        case `internal` = -32603
        case timeout = -32001
        case limitExceeded = -32005
        case transactionInternal = -200
        case broadcastRejected = -201
        case transactionNotFound = -202
        case blockNotFound = -204
        case engine = -300
    }

    /// The error member of a response.
    public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
        /// A plain number, because a server may send codes unknown to this client.
        public var code: Int
        /// One line.
        public var message: String
        /// Details that Kwil's clients read about a refused transaction.
        public var data: BroadcastRefusal?

        /// Creates an error with a known code.
        public init(_ code: Code, _ message: String, data: BroadcastRefusal? = nil) {
            self.code = code.rawValue
            self.message = message
            self.data = data
        }

        /// One line.
        public var description: String { "\(message) (JSON-RPC error \(code))" }

        /// Reads the error member. Ignores data of an unknown shape.
        init(_ value: JSONValue) throws(JSONError) {
            var members = try value.members()
            code = try members.value("code").integer()
            message = try members.value("message").string()
            data = members.optional("data").flatMap { try? Self.refusal($0) }
        }

        private static func refusal(_ value: JSONValue) throws(JSONError) -> BroadcastRefusal {
            var members = try value.members()
            return BroadcastRefusal(
                code: try members.value("code").integer(), hash: try members.value("hash").string(),
                message: try members.value("message").string())
        }

        /// Writes the error member.
        public func write(to writer: inout JSONWriter) {
            writer.object {
                $0.member("code", integer: code)
                $0.member("message", text: message)
                guard let data else { return }
                $0.object("data") {
                    $0.member("code", integer: data.code)
                    $0.member("hash", text: data.hash)
                    $0.member("message", text: data.message)
                }
            }
        }
    }

    /// Details of a transaction that was refused.
    public struct BroadcastRefusal: Sendable, Equatable {
        /// The transaction code of Kwil's list.
        public var code: UInt32
        /// The transaction ID in hexadecimal; empty if the transaction could not be decoded.
        public var hash: String
        /// One line.
        public var message: String
    }
}
