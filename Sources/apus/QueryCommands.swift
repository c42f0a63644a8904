import API
import ArgumentParser
import Chain
import Crypto
import Multiformats

/// Where a node answers JSON-RPC.
struct RPCOptions: ParsableArguments {
    @Option(name: .customLong("rpc"), help: "The node's JSON-RPC address.")
    var address = "127.0.0.1:8484"

    var client: RPCClient {
        get throws { try RPCClient(address, timeout: .seconds(60)) }
    }
}

/// `apus status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show where a node stands.")

    @OptionGroup var rpc: RPCOptions

    func run() async throws {
        let status = try await rpc.client.status()
        print("node          \(status.nodeId)")
        print("peer ID       \(status.peerId)")
        print("chain         \(status.chainId)")
        print("role          \(status.role)\(status.syncing ? " (catching up)" : "")")
        print("height        \(status.height)")
        print("block         \(status.blockHash)")
        print("app hash      \(status.appHash)")
        print("peers         \(status.peers)")
        print(
            status.blocksOnly
                ? "mempool       none: blocks only"
                : "mempool       \(status.mempoolTransactions) transactions, \(status.mempoolBytes) bytes")
        print("transactions  \(status.transactions)")
        print("reactor       \(status.reactor)")
        print("version       \(status.version)")
        for address in status.listen { print("listens on    \(address)") }
    }
}

/// `apus query`.
struct QueryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query", abstract: "Run one read-only SQL statement on a node's committed state.")

    @Argument(help: "The statement, with parameters named $name.")
    var sql: String

    @Option(
        name: .shortAndLong,
        help: "A parameter: name=text, or name:=whole number. May be given several times.")
    var parameter: [String] = []

    @OptionGroup var rpc: RPCOptions

    func run() async throws {
        let result = try await rpc.client.query(sql, try StatementParameters.parse(parameter))
        print(result.columns.joined(separator: "\t"))
        for row in result.rows { print(row.map(StatementParameters.text).joined(separator: "\t")) }
    }
}

/// Parameters of a statement as the command line writes them.
enum StatementParameters {
    static func parse(_ arguments: [String]) throws -> [RawStatement.Parameter] {
        var parameters: [RawStatement.Parameter] = []
        for argument in arguments {
            guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
                throw ValidationError("parameter \"\(argument)\" is not name=value")
            }
            var name = argument[..<equals]
            let text = String(argument[argument.index(after: equals)...])
            var value = Value.text(text)
            if name.hasSuffix(":") {
                name = name.dropLast()
                guard let number = Int64(text) else {
                    throw ValidationError("parameter \"\(argument)\" is not name:=whole number")
                }
                value = .int8(number)
            }
            let whole = name.hasPrefix("$") ? String(name) : "$\(name)"
            // Names are their bytes: Swift takes two spellings of one letter for the same.
            guard !parameters.contains(where: { $0.name.utf8.elementsEqual(whole.utf8) }) else {
                throw ValidationError("parameter \"\(whole)\" is given twice")
            }
            parameters.append(RawStatement.Parameter(whole, value))
        }
        return parameters
    }

    static func text(_ value: Value) -> String {
        switch value.scalar {
        case nil, .null: ""
        case .text(let text), .numeric(let text): text
        case .int8(let number): String(number)
        case .bool(let flag): flag ? "true" : "false"
        case .bytea(let bytes), .uuid(let bytes): Hex.encode(bytes)
        }
    }
}
