import Bytes
import Crypto
import JSON
import Node
import Reactor
import Testing

@testable import API

/// What a node writes of its traces, a client reads.
@Suite struct TraceResultsTests {
    /// The members of the result of a call to a node with fixed answers.
    private func result(_ method: String, _ parameters: String, _ node: FixedNode) async throws -> JSONMembers
    {
        let body = #"{"jsonrpc":"2.0","id":1,"method":"apus.\#(method)","params":\#(parameters)}"#
        let dispatcher = RPCDispatcher(node) { 0 }
        let reply = try await Reactor.run { await dispatcher.respond(to: Array(body.utf8)) }
        var members = try JSONDocument(reply.body).root.members()
        if let error = members.optional("error") { throw try JSONRPC.Failure(error) }
        return try members.value("result").members()
    }

    @Test func blocks() async throws {
        let node = try FixedNode()
        for (method, parameters) in [("block_trace", #"{"height":7}"#), ("slowest_blocks", #"{"count":1}"#)] {
            var members = try await result(method, parameters, node)
            #expect(try members.value("clock_ns").integer(Int64.self) == 7_000)
            let traces = try BlockTracesResult(&members).traces
            let expected = await node.blockTraces(at: 7)[0]
            let trace = try #require(traces.first)
            #expect(traces.count == 1)
            #expect(trace.height == 7 && trace.hash == expected.hash && trace.role == .validator)
            #expect(trace.outcome == .committed && trace.size == 512 && trace.transactions == 1)
            #expect(trace.source == expected.source)
            #expect(trace.stages == expected.stages)
        }
        var none = try await result("block_trace", #"{"height":8}"#, node)
        #expect(try BlockTracesResult(&none).traces.isEmpty)
    }

    @Test(arguments: [
        ("block_trace", "{}"), ("block_trace", #"{"height":"7"}"#), ("slowest_blocks", #"{"count":0}"#),
        ("slowest_blocks", #"{"count":101}"#), ("tx_trace", #"{"tx_hash":"00"}"#),
    ])
    func wrongParametersAreRefused(_ method: String, _ parameters: String) async throws {
        await #expect(throws: JSONRPC.Failure.self) {
            _ = try await result(method, parameters, try FixedNode())
        }
    }

    @Test func transactions() async throws {
        let node = try FixedNode()
        var members = try await result("tx_trace", #"{"tx_hash":"\#(node.known.id)"}"#, node)
        let found = try TransactionTraceResult(&members)
        #expect(found.oneOf == 1 && found.trace?.height == 9)
        #expect(found.trace?.stages.map(\.stage) == [.submitted, .checked])
        members = try await result("tx_trace", #"{"tx_hash":"\#(Hash.zero)"}"#, node)
        let missing = try TransactionTraceResult(&members)
        #expect(missing.oneOf == 4 && missing.trace == nil)
    }

    @Test func histograms() async throws {
        let node = try FixedNode()
        var members = try await result("stage_histograms", "{}", node)
        let read = try StageHistogramsResult(&members)
        #expect(read.clock == .microseconds(7))
        // First stages take no time.
        #expect(!read.blocks.contains { $0.name == "building" })
        #expect(read.blocks.last?.name == "whole")
        let executed = try #require(read.blocks.first { $0.name == "executed" }).counts
        #expect(executed == node.stageHistograms.blocks.histogram(of: .executed).snapshot())
        #expect(executed.count == 2 && executed.maximum == 40_000_000)
    }

    /// The clock is answered without asking the node's loop.
    @Test func clock() async throws {
        var members = try await result("clock", "{}", try FixedNode())
        #expect(try members.value("clock_ns").integer(Int64.self) == 7_000)
    }
}
