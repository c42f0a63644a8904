import Bytes
import Chain
import Crypto
import Foundation
import JSON
import Node
import Reactor
import Testing

@testable import API

@Suite struct RPCDispatcherTests {
    private func reply(_ body: String, _ node: FixedNode? = nil) async throws -> RPCReply {
        let dispatcher = RPCDispatcher(try node ?? FixedNode()) { 5_000 }
        return try await Reactor.run {
            await dispatcher.respond(to: Array(body.utf8))
        }
    }

    /// Parses the answer with Foundation instead of our own parser.
    private func answer(_ body: String, _ node: FixedNode? = nil) async throws -> Any {
        let reply = try await reply(body, node)
        if reply.body.isEmpty { return "" }
        return try JSONSerialization.jsonObject(with: Data(reply.body), options: .fragmentsAllowed)
    }

    private func object(_ body: String, _ node: FixedNode? = nil) async throws -> [String: Any] {
        try #require(try await answer(body, node) as? [String: Any])
    }

    @Test func ping() async throws {
        let answer = try await object(
            #"{"jsonrpc":"2.0","id":"x","method":"user.ping","params":{"message":"hi"}}"#)
        #expect(answer["id"] as? String == "x")
        #expect((answer["result"] as? [String: String]) == ["message": "hi"])
        #expect(answer["error"] == nil)
    }

    @Test func chainInfo() async throws {
        let answer = try await object(#"{"jsonrpc":"2.0","id":1,"method":"user.chain_info","params":{}}"#)
        let result = try #require(answer["result"] as? [String: Any])
        #expect(result["chain_id"] as? String == "fixed")
        #expect(result["block_height"] as? Int == 7)
        #expect(result["block_hash"] as? String == Hash.sha256(of: [1]).description)
        #expect(result["gas"] as? Bool == false)
    }

    @Test(arguments: ["user.chain_info", "user.health", "chain.health", "apus.status"])
    func whatIsKnownAndWhatIsWaitedForIsToldAlike(_ method: String) async throws {
        var node = try FixedNode()
        for body in [
            #"{"jsonrpc":"2.0","id":1,"method":"\#(method)"}"#,
            #"[{"jsonrpc":"2.0","id":1,"method":"\#(method)"},{"jsonrpc":"2.0","method":"\#(method)"}]"#,
        ] {
            node.isStatusKnown = false
            let waited = try await reply(body, node)
            node.isStatusKnown = true
            let known = try await reply(body, node)
            #expect(known.body == waited.body)
            #expect(known.status == 200 && waited.status == 200)
            #expect(String(decoding: known.body, as: UTF8.self).contains(#""result":{"#))
        }
    }

    @Test func networkIsShown() async throws {
        let node = try FixedNode()
        let leader = try #require(node.genesis.leader)
        func result(_ method: String, _ parameters: String = "{}") async throws -> [String: Any] {
            let answer = try await object(
                #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(parameters)}"#, node)
            return try #require(answer["result"] as? [String: Any])
        }
        let validators = try await result("chain.validators")
        #expect(validators["height"] as? Int == 7)
        let first = try #require((validators["validators"] as? [[String: Any]])?.first)
        #expect(first["identifier"] as? String == Hex.encode(leader.bytes))
        #expect(first["key_type"] as? String == "ed25519")
        #expect(first["pubkey"] as? String == Hex.encode(leader.bytes))
        #expect(first["type"] as? String == "ed25519")
        #expect(first["power"] as? Int == 1)

        let parameters = try await result("chain.consensus_params")
        #expect(parameters["max_block_size"] as? Int == 6 << 20)
        #expect(parameters["join_expiry"] as? String == "168h")
        #expect(parameters["disabled_gas_costs"] as? Bool == true)
        #expect(parameters["max_votes_per_tx"] as? Int == 200)
        #expect((parameters["leader"] as? [String: String])?["key"] == Hex.encode(leader.bytes))

        let genesis = try await result("chain.genesis")
        #expect(genesis["chain_id"] as? String == "fixed")
        #expect(genesis["db_owner"] as? String == leader.nodeID)
        #expect((genesis["validators"] as? [Any])?.count == 1)

        for (limit, count) in [("{}", 10), (#"{"limit":3}"#, 3), (#"{"limit":99}"#, 50)] {
            let unconfirmed = try await result("chain.unconfirmed_txs", limit)
            #expect(unconfirmed["total"] as? Int == 1)
            let named = try #require(unconfirmed["txs"] as? [[String: Any]])
            #expect(named.count == count)
            #expect(named[0]["hash"] as? String == node.known.id.description)
        }
        let requests = try await result("apus.validator_requests")
        #expect(requests["total_power"] as? Int == 1)
        #expect((requests["requests"] as? [Any])?.isEmpty == true)
    }

    @Test func healthHasTheBlocksAge() async throws {
        let answer = try await object(#"{"jsonrpc":"2.0","id":1,"method":"user.health"}"#)
        let result = try #require(answer["result"] as? [String: Any])
        #expect(result["block_age"] as? Int == 4_000)
        #expect(result["healthy"] as? Bool == true)
    }

    @Test func aNodeThatCannotVouchForItselfIsNotHealthyAndSaysWhy() async throws {
        var node = try FixedNode()
        node.trouble = "no peers"
        node.blockTimestamp = 0
        for method in ["user.health", "chain.health"] {
            let answer = try await object("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\(method)\"}", node)
            let result = try #require(answer["result"] as? [String: Any])
            #expect(result["healthy"] as? Bool == false)
            #expect(result["reason"] as? String == "no peers")
            #expect(result["block_age"] == nil, "there is no block")
        }
        let status = try await object(#"{"jsonrpc":"2.0","id":1,"method":"apus.status"}"#, node)
        #expect((status["result"] as? [String: Any])?["trouble"] as? String == "no peers")
        let reply = await RPCDispatcher(node, wallClock: { 5_000 }).health()
        #expect(reply.status == 503)
    }

    @Test func transactionsGoThroughJSONUnchanged() async throws {
        let node = try FixedNode()
        let tx = Self.json(node.known)
        let sent = try await object(
            #"{"jsonrpc":"2.0","id":1,"method":"user.broadcast","params":{"tx":\#(tx),"sync":1}}"#, node)
        let result = try #require(sent["result"] as? [String: Any])
        #expect(result["tx_hash"] as? String == node.known.id.description)
        #expect((result["result"] as? [String: Any])?["gas"] as? Int == 2)

        let found = try await object(
            #"{"jsonrpc":"2.0","id":1,"method":"chain.tx","params":{"hash":"\#(node.known.id)"}}"#, node)
        let lookup = try #require(found["result"] as? [String: Any])
        #expect(lookup["height"] as? Int == 4)
        #expect(lookup["index"] as? Int == 2)
        let json = try JSONSerialization.data(withJSONObject: try #require(lookup["tx"]))
        let back = try TransactionJSON.read(try JSONDocument(Array(json)).root)
        #expect(back.bytes == node.known.bytes)
    }

    /// What Kwil's clients leave out or set to null before they sign may be missing; what is there must be well formed.
    @Test(arguments: [
        (##""##, nil),
        (##","sender":null,"signature":{"sig":null,"type":"secp256k1_ep"}"##, nil),
        (##","sender":"00ff","signature":{"sig":"AAAA","type":"ed25519"}"##, nil),
        (##","sender":"xy""##, -201),
        (##","signature":{"sig":"%","type":"ed25519"}"##, -32602),
        (##","signature":{"sig":"AAAA"}"##, -32602),
    ])
    func aPriceIsAskedForBeforeSigning(_ more: String, _ code: Int?) async throws {
        try await expectPrice(##"{"payload":"AAA=","type":"raw_statement"}"##, more, code)
    }

    private static let oneTooMany = String(repeating: "a", count: ChainLimits.descriptionBytes + 1)

    @Test(arguments: [
        (##"{"desc":"","payload":"AAA=","type":"execute","fee":null,"nonce":null,"chain_id":""}"##, nil),
        (##"{"payload":"AAA=","type":"transfer","fee":"12","nonce":3,"chain_id":"fixed"}"##, nil),
        (##"{"payload":"AAA=","type":"no_such_type"}"##, -32602),
        (##"{"payload":"AAA=","type":""}"##, -32602),
        (##"{"payload":"AAA="}"##, -32602),
        (##"{"type":"raw_statement"}"##, -32602),
        (##"{"payload":"!","type":"raw_statement"}"##, -32602),
        (##"{"payload":"AAA=","type":"raw_statement","fee":"much"}"##, -201),
        (##"{"payload":"AAA=","type":"raw_statement","nonce":-1}"##, -32602),
        (##"{"payload":"AAA=","type":"raw_statement","desc":"\##(oneTooMany)"}"##, -201),
    ])
    func aPriceNeedsABody(_ body: String, _ code: Int?) async throws {
        try await expectPrice(body, "", code)
    }

    private func expectPrice(_ body: String, _ more: String, _ code: Int?) async throws {
        let tx = ##"{"body":\##(body),"serialization":"concat"\##(more)}"##
        let answer = try await object(
            ##"{"jsonrpc":"2.0","id":1,"method":"user.estimate_price","params":{"tx":\##(tx)}}"##)
        #expect((answer["error"] as? [String: Any])?["code"] as? Int == code, "\(answer)")
        if code == nil { #expect(answer["result"] as? [String: String] == ["price": "0"]) }
    }

    @Test func hashesAsByteArrays() async throws {
        let node = try FixedNode()
        let found = try await object(
            #"{"jsonrpc":"2.0","id":1,"method":"user.tx_query","params":{"tx_hash":\#(node.known.id.array)}}"#,
            node)
        #expect((found["result"] as? [String: Any])?["tx_hash"] as? String == node.known.id.description)
    }

    @Test func queriesBindTypedParameters() async throws {
        let data = Data([1] + Array("x".utf8)).base64EncodedString()
        let answer = try await object(
            #"{"jsonrpc":"2.0","id":1,"method":"user.query","params":{"query":"SELECT $a","params":{"$a":{"type":{"name":"text","is_array":false,"metadata":[0,0]},"data":["\#(data)"]}}}}"#
        )
        let result = try #require(answer["result"] as? [String: Any])
        let values = try #require(result["values"] as? [[Any]])
        #expect(values[0][0] as? String == "x")
        #expect(values[0][1] as? Int == 5)
        #expect(values[1][0] is NSNull)
        #expect(result["column_names"] as? [String] == ["a", "b"])
    }

    /// A worker writes them.
    @Test func largeResultsAreWhole() async throws {
        let answer = try await object(
            #"{"jsonrpc":"2.0","id":1,"method":"user.query","params":{"query":"many"}}"#)
        let result = try #require(answer["result"] as? [String: Any])
        #expect(result["values"] as? [[Int]] == (0..<3_000).map { [$0] })
        #expect(result["column_names"] as? [String] == ["n"])
        #expect(answer["id"] as? Int == 1)
    }

    @Test func refusedTransactionsCarryTheirCode() async throws {
        let node = try FixedNode(refusal: .rejected(.invalidNonce, "nonce 1, expected 2"))
        let tx = Self.json(node.known)
        let answer = try await object(
            #"{"jsonrpc":"2.0","id":1,"method":"user.broadcast","params":{"tx":\#(tx)}}"#, node)
        let error = try #require(answer["error"] as? [String: Any])
        #expect(error["code"] as? Int == -201)
        #expect((error["data"] as? [String: Any])?["code"] as? Int == 4)
    }

    @Test(arguments: [
        ("", -32700), ("{", -32700), ("\u{FF}", -32700), ("[", -32700), ("[]", -32600), ("1", -32600),
        (#""text""#, -32600), ("{}", -32600),
        (#"{"jsonrpc":"1.0","id":1,"method":"user.ping"}"#, -32600),
        (#"{"jsonrpc":"2.0","id":{},"method":"user.ping"}"#, -32600),
        (#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
        (#"{"jsonrpc":"2.0","id":1,"method":"user.none"}"#, -32601),
        (#"{"jsonrpc":"2.0","id":1,"method":"user.ping"}"#, -32602),
        (#"{"jsonrpc":"2.0","id":1,"method":"user.ping","params":{"message":1}}"#, -32602),
        (#"{"jsonrpc":"2.0","id":1,"method":"chain.tx","params":{"hash":"00"}}"#, -32602),
        (#"{"jsonrpc":"2.0","id":1,"method":"chain.tx","params":{"hash":[1,2]}}"#, -32602),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"user.account","params":{"id":{"identifier":"zz","key_type":"ed25519"}}}"#,
            -32602
        ),
        (#"{"jsonrpc":"2.0","id":1,"method":"user.query","params":{"query":"SELECT 2"}}"#, -300),
        (#"{"jsonrpc":"2.0","id":1,"method":"chain.block","params":{"height":9}}"#, -204),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"user.tx_query","params":{"tx_hash":"0000000000000000000000000000000000000000000000000000000000000000"}}"#,
            -202
        ),
    ])
    func badRequests(_ body: String, _ code: Int) async throws {
        let reply = try await object(body)
        let error = try #require(reply["error"] as? [String: Any], "\(reply)")
        #expect(error["code"] as? Int == code)
        let message = try #require(error["message"] as? String)
        #expect(!message.contains("\n"))
    }

    /// What the node has dropped is not found, and the error says why.
    @Test(arguments: [
        (#"{"jsonrpc":"2.0","id":1,"method":"chain.block","params":{"height":3}}"#, -204),
        (#"{"jsonrpc":"2.0","id":1,"method":"chain.tx","params":{"hash":"\#(FixedNode.droppedID)"}}"#, -202),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"user.tx_query","params":{"tx_hash":"\#(FixedNode.droppedID)"}}"#,
            -202
        ),
    ])
    func droppedBlocksAreNamed(_ body: String, _ code: Int) async throws {
        let error = try #require(try await object(body)["error"] as? [String: Any])
        #expect(error["code"] as? Int == code)
        #expect(error["message"] as? String == "block 3 is pruned: this node keeps the blocks from 7 on")
    }

    @Test func batchesAnswerInOrderAndSkipNotifications() async throws {
        let requests = (0..<200).map { index in
            index % 3 == 0
                ? #"{"jsonrpc":"2.0","method":"user.ping","params":{"message":"n"}}"#
                : #"{"jsonrpc":"2.0","id":\#(index),"method":"user.ping","params":{"message":"\#(index)"}}"#
        }
        let answers = try #require(
            try await answer("[\(requests.joined(separator: ","))]") as? [[String: Any]])
        let expected = (0..<200).filter { $0 % 3 != 0 }
        #expect(answers.compactMap { $0["id"] as? Int } == expected)
        #expect(
            answers.compactMap { ($0["result"] as? [String: String])?["message"] }
                == expected.map(String.init))
    }

    @Test func batchesAreBounded() async throws {
        let one = #"{"jsonrpc":"2.0","id":1,"method":"user.ping","params":{"message":"n"}}"#
        let many = Array(repeating: one, count: JSONRPC.maximumBatch + 1).joined(separator: ",")
        let reply = try await object("[\(many)]")
        #expect((reply["error"] as? [String: Any])?["code"] as? Int == -32600)
    }

    private static func json(_ transaction: Transaction) -> String {
        var writer = JSONWriter()
        writer.transaction(transaction)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
