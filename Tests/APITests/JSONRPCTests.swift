import Chain
import JSON
import Multiformats
import Reactor
import Testing

@testable import API

/// The bytes of answers, as the JSON-RPC 2.0 specification and strict JSON require.
@Suite struct JSONRPCTests {
    private func answer(_ body: [UInt8]) async throws -> String {
        let dispatcher = RPCDispatcher(try FixedNode()) { 5_000 }
        let reply = try await Reactor.run {
            await dispatcher.respond(to: body)
        }
        #expect(reply.status == (reply.body.isEmpty ? 204 : 200))
        return String(decoding: reply.body, as: UTF8.self)
    }

    private func answer(_ body: String) async throws -> String { try await answer(Array(body.utf8)) }

    private func error(_ body: String) async throws -> (code: Int, message: String) {
        let text = try await answer(body)
        var members = try JSONDocument(Array(text.utf8)).root.members()
        let failure = try JSONRPC.Failure(try members.value("error"))
        return (failure.code, failure.message)
    }

    /// IDs are returned unchanged.
    @Test(arguments: [
        "1", "0", "-5", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "null",
        #""x""#, #""""#, "\"\u{E9}\"", "\"e\u{301}\"", #""\"\\\n""#,
    ])
    func identifiers(_ id: String) async throws {
        let result = #"{"jsonrpc":"2.0","id":\#(id),"method":"user.ping","params":{"message":"m"}}"#
        #expect(try await answer(result) == #"{"jsonrpc":"2.0","result":{"message":"m"},"id":\#(id)}"#)
        let failure = #"{"jsonrpc":"2.0","id":\#(id),"method":"none"}"#
        #expect(
            try await answer(failure)
                == #"{"jsonrpc":"2.0","error":{"code":-32601,"message":"unknown method \"none\""},"id":\#(id)}"#
        )
    }

    @Test(arguments: ["1.5", "1.0", "1e3", "true", "{}", "[]"])
    func identifiersThatAreNone(_ id: String) async throws {
        let text = try await answer(
            #"{"jsonrpc":"2.0","id":\#(id),"method":"user.ping","params":{"message":"m"}}"#)
        #expect(text.contains("-32600") && text.hasSuffix(#""id":null}"#), "\(text)")
    }

    @Test(arguments: [
        // Notifications are not answered, even if they fail.
        (#"{"jsonrpc":"2.0","method":"user.ping","params":{"message":"m"}}"#, ""),
        (#"{"jsonrpc":"2.0","method":"user.ping"}"#, ""),
        (#"{"jsonrpc":"2.0","method":"none"}"#, ""),
        (#"[{"jsonrpc":"2.0","method":"none"},{"jsonrpc":"2.0","method":"user.version"}]"#, ""),
        // Invalid requests are answered with a null ID, each one of a batch separately.
        (
            "[1,2]",
            #"[{"jsonrpc":"2.0","error":{"code":-32600,"message":"a request must be an object"},"id":null},{"jsonrpc":"2.0","error":{"code":-32600,"message":"a request must be an object"},"id":null}]"#
        ),
        (
            #"{"method":"user.ping"}"#,
            #"{"jsonrpc":"2.0","error":{"code":-32600,"message":"jsonrpc must be \"2.0\""},"id":null}"#
        ),
        (
            #"{"jsonrpc":"2.0","id":3,"method":"user.ping","params":"bar"}"#,
            #"{"jsonrpc":"2.0","error":{"code":-32600,"message":"params must be an object or an array"},"id":3}"#
        ),
        (
            #"{"jsonrpc":2.0,"id":3,"method":"user.ping"}"#,
            #"{"jsonrpc":"2.0","error":{"code":-32600,"message":"jsonrpc must be \"2.0\""},"id":3}"#
        ),
        (
            "[]",
            #"{"jsonrpc":"2.0","error":{"code":-32600,"message":"a batch must have 1 to 1000 requests"},"id":null}"#
        ),
    ])
    func envelopes(_ body: String, _ expected: String) async throws {
        #expect(try await answer(body) == expected)
    }

    /// An error names the parameter as the client wrote it, and nothing internal.
    @Test(arguments: [
        ("user.tx_query", "{}", "user.tx_query: tx_hash is missing"),
        (
            "user.tx_query", #"{"tx_hash":7}"#,
            "user.tx_query: tx_hash must be a hash of 64 hexadecimal digits"
        ),
        (
            "user.tx_query", #"{"tx_hash":[256]}"#,
            "user.tx_query: tx_hash[0] must be a whole number from 0 to 255"
        ),
        ("user.ping", "[]", "user.ping: params must be an object"),
        (
            "user.query", #"{"query":"SELECT $a","params":{"$a":{"type":{"name":"text"},"data":[]}}}"#,
            "user.query: params.$a.type.is_array is missing"
        ),
        (
            "user.query",
            #"{"query":"SELECT $a","params":{"a b":{"type":{"name":"text","is_array":1},"data":[]}}}"#,
            #"user.query: params["a b"].type.is_array must be true or false"#
        ),
        (
            "user.query",
            #"{"query":"","params":{"$a":{"type":{"name":"text","is_array":false},"data":["?"]}}}"#,
            "user.query: params.$a.data[0] must be a base64 string"
        ),
        (
            "user.broadcast", #"{"tx":{"body":{"payload":"","type":"x"}}}"#,
            "user.broadcast: tx.body.nonce is missing"
        ),
        (
            "user.broadcast", #"{"tx":{"body":{"payload":"","type":"x","nonce":-1}}}"#,
            "user.broadcast: tx.body.nonce must be a whole number from 0 to 18446744073709551615"
        ),
        ("user.account", #"{"id":{"identifier":"00"}}"#, "user.account: id.key_type is missing"),
        ("chain.block", #"{"raw":"yes"}"#, "chain.block: raw must be true or false"),
        ("chain.unconfirmed_txs", #"{"limit":-1}"#, "limit must not be negative"),
    ])
    func parameters(_ method: String, _ parameters: String, _ message: String) async throws {
        for body in [
            #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(parameters)}"#,
            #"{"params":\#(parameters),"method":"\#(method)","jsonrpc":"2.0","id":1}"#,
        ] {
            let error = try await error(body)
            #expect(error.code == -32602)
            #expect(error.message == message)
        }
    }

    @Test func parametersInABatch() async throws {
        let text = try await answer(
            #"[{"jsonrpc":"2.0","id":1,"method":"user.tx_query","params":{"tx_hash":null}}]"#)
        #expect(text.contains(#""message":"user.tx_query: tx_hash is missing""#), "\(text)")
    }

    /// Duplicate keys and other violations of strict JSON are errors.
    @Test(arguments: [
        (
            #"{"jsonrpc":"2.0","id":1,"method":"user.version","method":"user.chain_info"}"#,
            #"duplicate key "method" (line 1, column 49)"#
        ),
        (
            #"[{"jsonrpc":"2.0","id":1,"id":2,"method":"user.version"}]"#,
            #"[0]: duplicate key "id" (line 1, column 26)"#
        ),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"user.ping","params":{"message":"a","mess\u0061ge":"b"}}"#,
            #"params: duplicate key "message" (line 1, column 70)"#
        ),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"user.version",}"#,
            "not JSON: expected a quoted name (line 1, column 49)"
        ),
        (
            #"{"jsonrpc":"2.0","id":"\ud800","method":"user.version"}"#,
            "not JSON: an unpaired surrogate (line 1, column 24)"
        ),
        (
            #"{"jsonrpc":"2.0","id":18446744073709551616,"method":"user.version"}"#,
            "not JSON: an integer beyond 64 bits (line 1, column 23)"
        ),
        ("{", #"not JSON: expected a quoted name or "}", found the end (line 1, column 2)"#),
    ])
    func strictness(_ body: String, _ message: String) async throws {
        let error = try await error(body)
        #expect(error.code == -32700)
        #expect(error.message == message)
    }

    @Test func deepNestingIsRefused() async throws {
        let deep = String(repeating: "[", count: 100_000)
        #expect(
            try await error(#"{"jsonrpc":"2.0","id":\#(deep)"#).message.hasPrefix("nested deeper than 32"))
    }

    @Test func notUTF8IsRefused() async throws {
        let body =
            Array(#"{"jsonrpc":"2.0","id":""#.utf8) + [0xFF] + Array(#"","method":"user.version"}"#.utf8)
        #expect(try await answer(body).contains("not JSON: not UTF-8 (line 1, column 24)"))
    }

    /// Two names that Swift considers equal are two parameters.
    @Test func namesOfParametersAreBytes() async throws {
        func value(_ text: String) -> String {
            var data: [UInt8] = []
            ([1] + Array(text.utf8)).withUnsafeBytes { Base64.append($0, to: &data) }
            return
                #"{"type":{"name":"text","is_array":false},"data":["\#(String(decoding: data, as: UTF8.self))"]}"#
        }
        let text = try await answer(
            #"{"jsonrpc":"2.0","id":1,"method":"user.query","params":{"query":"names","params":{"$\u00e9":\#(value("A")),"$e\u0301":\#(value("B"))}}}"#
        )
        var members = try JSONDocument(Array(text.utf8)).root.members()
        var result = try members.value("result").members()
        let rows = try result.value("values").array().map { try $0.array().map { try $0.string() } }
        #expect(rows == [["JMOp", "A"], ["JGXMgQ==", "B"]])
    }

    /// The exact answers of the methods.
    @Test func shapes() async throws {
        #expect(
            try await answer(#"{"jsonrpc":"2.0","id":1,"method":"user.version"}"#)
                == #"{"jsonrpc":"2.0","result":{"service":"user","api_ver":"0.1.0","major":0,"minor":1,"patch":0,"kwil_ver":"apus/0.1.0"},"id":1}"#
        )
        let zeros = String(repeating: "0", count: 64)
        let hash = "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"
        #expect(
            try await answer(#"{"jsonrpc":"2.0","id":1,"method":"user.health","params":{}}"#)
                == #"{"jsonrpc":"2.0","result":{"chain_id":"fixed","block_height":7,"block_hash":"\#(hash)","gas":false,"healthy":true,"version":"0.1.0","block_time":1000,"block_age":4000,"syncing":false,"height":7,"app_hash":"\#(zeros)","peer_count":3,"mode":"open"},"id":1}"#
        )
        #expect(
            try await answer(#"{"jsonrpc":"2.0","id":1,"method":"chain.health","params":{}}"#)
                == #"{"jsonrpc":"2.0","result":{"chain_id":"fixed","height":7,"healthy":true},"id":1}"#)
        let header =
            #""header":{"version":0,"height":7,"num_txns":1,"prev_hash":"\#(zeros)","prev_app_hash":"\#(zeros)","stamp_ms":1000,"merkle_root":"\#(zeros)","vals_hash":"\#(zeros)","params_hash":"\#(zeros)"}"#
        let block = try await answer(
            #"{"jsonrpc":"2.0","id":1,"method":"chain.block","params":{"height":7}}"#)
        #expect(block.contains(#""block":{\#(header),"txns":[{"signature":{"sig":""#), "\(block)")
        #expect(
            block.contains(
                #""body":{"desc":"","payload":"","type":"raw_statement","fee":"0","nonce":1,"chain_id":"fixed"},"serialization":"#
            ), "\(block)")
        #expect(
            block.hasSuffix(#""sig":"AQI="},"commit_info":{"app_hash":"\#(zeros)","votes":[]}},"id":1}"#),
            "\(block)")
        #expect(
            try await answer(
                #"{"jsonrpc":"2.0","id":1,"method":"user.account","params":{"id":{"identifier":"AB","key_type":"secp256k1"},"status":1}}"#
            )
                == #"{"jsonrpc":"2.0","result":{"id":{"identifier":"AB","key_type":"secp256k1"},"balance":"12","nonce":3},"id":1}"#
        )
        #expect(
            try await answer(
                #"{"jsonrpc":"2.0","id":1,"method":"user.account","params":{"id":{"identifier":"AB","key_type":"secp256k1"},"status":2}}"#
            ).contains("status must be 0 (latest) or 1 (pending)"))
        #expect(
            try await answer(
                #"{"jsonrpc":"2.0","id":1,"method":"user.query","params":{"query":"SELECT $a"}}"#)
                == #"{"jsonrpc":"2.0","result":{"column_names":["a","b"],"column_types":[{"name":"text","is_array":false,"metadata":[0,0]},{"name":"int8","is_array":false,"metadata":[0,0]}],"values":[[null,5],[null,true]]},"id":1}"#
        )
        #expect(
            try await answer(
                #"{"jsonrpc":"2.0","id":1,"method":"user.query","params":{"query":"mixed"}}"#)
                == #"{"jsonrpc":"2.0","result":{"column_names":["v","n"],"column_types":[{"name":"text","is_array":false,"metadata":[0,0]},{"name":"numeric","is_array":false,"metadata":[0,0]}],"values":[["AP8=",null],["AP8=","x"],[null,7],[true,"1.5"],["",""]],"cell_types":[{"row":1,"column":0,"type":"bytea"},{"row":1,"column":1,"type":"text"},{"row":4,"column":1,"type":"bytea"}]},"id":1}"#
        )
    }
}
