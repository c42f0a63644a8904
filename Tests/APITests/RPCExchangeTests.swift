import Bytes
import Chain
import JSON
import Node
import Reactor
import Testing
import VirtualIO

@testable import API

/// Deadlines, budgets and cancellation of requests, in virtual time.
@Suite struct RPCExchangeTests {
    private static let version = #"{"jsonrpc":"2.0","id":"v","method":"user.version"}"#
    private static let info = #"{"jsonrpc":"2.0","id":7,"method":"user.chain_info"}"#
    private static let held = #"{"jsonrpc":"2.0","id":2,"method":"user.query","params":{"query":"hold"}}"#

    private static func limits() -> RPCDispatcher.Limits {
        var limits = RPCDispatcher.Limits()
        limits.timeout = .seconds(1)
        limits.commitTimeout = .seconds(30)
        return limits
    }

    private static func waiting(_ id: Int, _ node: FixedNode) -> String {
        broadcast(id, node, waitForCommit: true)
    }

    private static func broadcast(_ id: Int, _ node: FixedNode, waitForCommit: Bool = false) -> String {
        var writer = JSONWriter()
        writer.broadcast(node.known, waitForCommit: waitForCommit)
        let parameters = String(decoding: writer.bytes, as: UTF8.self)
        return #"{"jsonrpc":"2.0","id":\#(id),"method":"user.broadcast","params":\#(parameters)}"#
    }

    private static func raw(_ id: Int) -> String {
        #"{"jsonrpc":"2.0","id":\#(id),"method":"chain.block","params":{"raw":true}}"#
            .replacing("{\"raw", with: "{\"height\":7,\"raw")
    }

    private static func batch(_ requests: [String]) -> [UInt8] {
        Array("[\(requests.joined(separator: ","))]".utf8)
    }

    /// Returns the error code of each answer by its ID, as written.
    private static func answers(_ reply: RPCReply) throws -> [String: Int?] {
        let root = try JSONDocument(reply.body).root
        let answers = try root.kind == .array ? Array(root.array()) : [root]
        var codes: [String: Int?] = [:]
        for answer in answers {
            var members = try answer.members()
            var id = JSONWriter()
            let value = members.present("id")
            id.value(try #require(value))
            let error = try members.optional("error").map { try JSONRPC.Failure($0) }
            let hasResult = members.present("result") != nil
            #expect((error == nil) == hasResult)
            codes[String(decoding: id.bytes, as: UTF8.self)] = .some(error?.code)
        }
        return codes
    }

    private static func expect(
        _ reply: RPCReply, _ codes: [String: Int?], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let answers = try answers(reply)
        #expect(answers == codes, sourceLocation: sourceLocation)
    }

    @Test func whatIsDoneIsAnsweredAtTheDeadline() throws {
        let node = try FixedNode()
        try MemoryNetwork.run {
            let dispatcher = RPCDispatcher(node, limits: Self.limits()) { 0 }
            let body = Self.batch([
                Self.version, Self.held, Self.info, #"{"jsonrpc":"2.0","method":"user.version"}"#,
            ])
            let reply = await dispatcher.respond(to: body)
            #expect(Reactor.now == .seconds(1))
            #expect(reply.status == 200)
            try Self.expect(reply, ["\"v\"": nil, "2": -32001, "7": nil])
            // A result that arrives after the deadline is dropped.
            node.hold.open()
            try await Reactor.sleep(for: .seconds(1))
        }
    }

    @Test func broadcastsOfABatchGoToTheNodeTogether() throws {
        let node = try FixedNode()
        try MemoryNetwork.run {
            let dispatcher = RPCDispatcher(node, limits: Self.limits()) { 0 }
            let calls = (0..<300).map { $0 % 100 == 50 ? Self.info : Self.broadcast(1_000 + $0, node) }
            let body = Self.batch([Self.version] + calls + [Self.waiting(3, node)])
            let reply = await dispatcher.respond(to: body)
            var expected: [String: Int?] = ["\"v\"": nil, "7": nil, "3": nil]
            for number in 0..<300 where number % 100 != 50 {
                expected.updateValue(nil, forKey: "\(1_000 + number)")
            }
            try Self.expect(reply, expected)
            // 297 in groups of 128.
            #expect(node.hold.groups == [128, 128, 41])
        }
    }

    @Test func broadcastsThatTakeTooLongAreAnsweredAtTheDeadline() throws {
        var node = try FixedNode()
        node.holdsBroadcasts = true
        try MemoryNetwork.run { [node] in
            let dispatcher = RPCDispatcher(node, limits: Self.limits()) { 0 }
            let body = Self.batch([Self.broadcast(1, node), Self.info, Self.broadcast(2, node)])
            let reply = await dispatcher.respond(to: body)
            #expect(Reactor.now == .seconds(1))
            try Self.expect(reply, ["1": -32001, "7": nil, "2": -32001])
            node.hold.open()
            try await Reactor.sleep(for: .seconds(1))
        }
    }

    @Test func aSingleCallKeepsItsID() throws {
        let node = try FixedNode()
        try MemoryNetwork.run {
            let dispatcher = RPCDispatcher(node, limits: Self.limits()) { 0 }
            let reply = await dispatcher.respond(
                to: Array(Self.held.utf8))
            #expect(Reactor.now == .seconds(1))
            #expect(reply.status == 503)
            try Self.expect(reply, ["2": -32001])
            node.hold.open()
            try await Reactor.sleep(for: .seconds(1))
        }
    }

    /// Only calls that wait for a commit may take longer, and not forever.
    @Test func whoAskedToWaitWaitsLonger() throws {
        var node = try FixedNode()
        node.holdsCommits = true
        try MemoryNetwork.run { [node] in
            let dispatcher = RPCDispatcher(node, limits: Self.limits()) { 0 }
            let body = Self.batch([Self.waiting(1, node), Self.held, Self.version])
            Reactor.schedule(after: .seconds(20)) { node.hold.open() }
            let reply = await dispatcher.respond(to: body)
            #expect(Reactor.now == .seconds(20))
            try Self.expect(reply, ["1": nil, "2": -32001, "\"v\"": nil])
        }
        var never = try FixedNode()
        never.holdsCommits = true
        try MemoryNetwork.run { [never] in
            let dispatcher = RPCDispatcher(never, limits: Self.limits()) { 0 }
            let body = Array(Self.waiting(1, never).utf8)
            let reply = await dispatcher.respond(to: body)
            #expect(Reactor.now == .seconds(31))
            try Self.expect(reply, ["1": -32001])
            never.hold.open()
            try await Reactor.sleep(for: .seconds(1))
        }
    }

    /// A thousand large blocks: the answers stay within the limit of the reply or the server, and every call is
    /// answered.
    @Test(arguments: [(1_000_000, Int.max), (10_000_000, 1_000_000)])
    func aBatchStopsAtItsBudget(part: Int, limit: Int) throws {
        let node = try FixedNode(blockSize: 100_000)
        try MemoryNetwork.run {
            var limits = ReplyBudget.Limits()
            limits.reply = part
            let dispatcher = RPCDispatcher(node, budget: ReplyBudget(limits)) { 0 }
            let body = Self.batch((0..<1_000).map(Self.raw))
            let reply = await dispatcher.respond(to: body, limit: limit)
            #expect(reply.body.count < 1_500_000)
            let codes = try Self.answers(reply)
            #expect(codes.count == 1_000)
            let done = (0..<1_000).filter { codes["\($0)"] == .some(nil) }
            #expect(done == Array(0..<8))
            #expect(codes.values.filter { $0 == -32005 }.count == 992)
            #expect(node.hold.begun == 8)
            // Charged until the reply is released.
            #expect(dispatcher.budget.replies > 1_000_000)
            _ = consume reply
            #expect(dispatcher.budget.replies == 0)
        }
    }

    @Test func theServersBudgetHoldsForAllClients() throws {
        let node = try FixedNode(blockSize: 100_000)
        try MemoryNetwork.run {
            var limits = ReplyBudget.Limits()
            (limits.server, limits.largeCall) = (300_000, 200_000)
            let dispatcher = RPCDispatcher(node, limits: Self.limits(), budget: ReplyBudget(limits)) { 0 }
            var replies: [RPCReply] = []
            // There is no room for a second reply until the first is written.
            for id in 0..<2 {
                let call = Array(Self.raw(id).utf8)
                replies.append(await dispatcher.respond(to: call))
                try Self.expect(replies[id], ["\(id)": id == 1 ? -32001 : nil])
            }
            #expect(replies.map(\.status) == [200, 503])
            // Small calls still succeed.
            let small = await dispatcher.respond(
                to: Array(Self.info.utf8))
            #expect(small.status == 200)
            // Frees room while the call waits.
            Reactor.schedule(after: .milliseconds(500)) { replies = [] }
            let before = Reactor.now
            let last = await dispatcher.respond(
                to: Array(Self.raw(3).utf8))
            #expect(last.status == 200)
            #expect(Reactor.now == before + .milliseconds(500))
        }
    }

    @Test func aFullServerRefusesAtOnce() throws {
        let node = try FixedNode(blockSize: 100_000)
        try MemoryNetwork.run {
            var limits = ReplyBudget.Limits()
            (limits.server, limits.largeCall) = (100_000, 1_000)
            let dispatcher = RPCDispatcher(node, limits: Self.limits(), budget: ReplyBudget(limits)) { 0 }
            let first = await dispatcher.respond(
                to: Array(Self.info.utf8))
            let charge = ReplyBudget.Charge(dispatcher.budget)
            charge.add(100_000)
            let second = await dispatcher.respond(
                to: Array(Self.held.utf8))
            #expect(second.status == 503)
            try Self.expect(second, ["2": -32005])
            #expect(Reactor.now == .zero)
            #expect(node.hold.begun == 0)
            withExtendedLifetime((first, charge)) {}
        }
    }

    /// A block that exceeds the server's budget is refused, not truncated.
    @Test(arguments: [true, false]) func oneAnswerIsBounded(isRaw: Bool) throws {
        let node = try FixedNode(blockSize: 100_000)
        try MemoryNetwork.run {
            var limits = ReplyBudget.Limits()
            limits.server = isRaw ? 150_000 : 250_000
            let dispatcher = RPCDispatcher(node, limits: Self.limits(), budget: ReplyBudget(limits)) { 0 }
            let call = isRaw ? Self.raw(1) : Self.raw(1).replacing("true", with: "false")
            let reply = await dispatcher.respond(
                to: Array(call.utf8))
            try Self.expect(reply, ["1": isRaw ? -32005 : nil])
        }
    }

    /// Large blocks are written on a worker, small ones at once.
    @Test(arguments: [(1_000, 0), (100_000, 1)]) func largeBlocksHoldNobodyUp(size: Int, jobs: Int) throws {
        let node = try FixedNode(blockSize: size)
        try MemoryNetwork.run {
            let dispatcher = RPCDispatcher(node, limits: Self.limits()) { 0 }
            let reply = await dispatcher.respond(to: Array(Self.raw(1).utf8))
            try Self.expect(reply, ["1": nil])
            #expect(dispatcher.blockAnswers.peakDepth == jobs)
        }
    }

    /// After the client has gone no further call starts, and running ones are abandoned.
    @Test func whoHasGoneCostsNothingMore() throws {
        let node = try FixedNode()
        try MemoryNetwork.run {
            let dispatcher = RPCDispatcher(node, limits: Self.limits()) { 0 }
            var hasEnded = false
            let task = Reactor.spawn {
                let calls = Array(repeating: Self.held, count: 10)
                _ = await dispatcher.respond(to: Self.batch(calls))
                hasEnded = true
            }
            try await Reactor.sleep(for: .milliseconds(10))
            #expect(node.hold.begun == 1)
            task.cancel()
            try await Reactor.sleep(for: .milliseconds(10))
            #expect(hasEnded)
            node.hold.open()
            try await Reactor.sleep(for: .seconds(5))
            #expect(node.hold.begun == 1)
            #expect(dispatcher.budget.replies == 0)
        }
    }

    /// Long queries that run or wait hold up no short one, and one that waits never runs if its client goes.
    @Test func shortQueriesDoNotWaitForLongOnes() throws {
        let node = try FixedNode()
        try MemoryNetwork.run {
            let dispatcher = RPCDispatcher(node, limits: Self.limits()) { 0 }
            let scans = (0..<3).map { _ in
                Reactor.spawn {
                    _ = await dispatcher.respond(to: Array(Self.held.replacing("hold", with: "scan").utf8))
                }
            }
            try await Reactor.sleep(for: .milliseconds(10))
            #expect(node.hold.begun == 2)
            let before = Reactor.now
            let short = await dispatcher.respond(
                to: Array(Self.held.replacing("hold", with: "SELECT $a").utf8))
            try Self.expect(short, ["2": nil])
            #expect(Reactor.now == before)
            scans[2].cancel()
            try await Reactor.sleep(for: .milliseconds(10))
            node.hold.open()
            try await Reactor.sleep(for: .seconds(1))
            #expect(node.hold.begun == 2)
        }
    }

    /// Clients take turns, however many large calls one of them makes.
    @Test func clientsTakeTurnsWithLargeCalls() throws {
        try MemoryNetwork.run {
            var limits = ReplyBudget.Limits()
            (limits.server, limits.largeCall) = (100, 100)
            let budget = ReplyBudget(limits)
            var (order, holding) = ([Int](), [ReplyBudget.Reservation]())
            for (number, host) in [1, 1, 1, 1, 2, 2, 1, 3].enumerated() {
                let client = try SocketAddress(ip: "192.0.2.\(host)", port: 0).network
                Reactor.spawn {
                    guard let room = await budget.reserve(for: .longQuery, of: client) else { return }
                    order.append(number)
                    holding.append(room)
                }
                try await Reactor.sleep(for: .milliseconds(1))
            }
            for _ in 0..<8 {
                #expect(holding.count == 1)
                holding = []
                try await Reactor.sleep(for: .milliseconds(1))
            }
            #expect(order == [0, 4, 7, 1, 5, 2, 3, 6])
        }
    }

    @Test func noClientTakesAllPlacesOfThoseThatWaitForACommit() throws {
        var node = try FixedNode()
        node.holdsCommits = true
        try MemoryNetwork.run { [node] in
            var limits = Self.limits()
            limits.commitWaits = 16
            let dispatcher = RPCDispatcher(node, limits: limits) { 0 }
            var statuses: [String: [Int]] = [:]
            for host in ["192.0.2.1", "192.0.2.2", "127.0.0.1"] {
                let client = try SocketAddress(ip: host, port: 0).network
                for id in 0..<5 {
                    Reactor.spawn {
                        let body = Array(Self.waiting(id, node).utf8)
                        let reply = await dispatcher.respond(to: body, from: client)
                        statuses[host, default: []].append(reply.status)
                    }
                }
                try await Reactor.sleep(for: .milliseconds(1))
            }
            // These are refused at once and nothing is sent.
            #expect(statuses == ["192.0.2.1": [503, 503, 503], "192.0.2.2": [503, 503, 503]])
            node.hold.open()
            try await Reactor.sleep(for: .milliseconds(1))
            let done = statuses.mapValues { $0.count { $0 == 200 } }
            #expect(done == ["192.0.2.1": 2, "192.0.2.2": 2, "127.0.0.1": 5])
            // The places are free again.
            let client = try SocketAddress(ip: "192.0.2.1", port: 0).network
            let body = Array(Self.waiting(9, node).utf8)
            #expect(await dispatcher.respond(to: body, from: client).status == 200)
        }
    }

    /// A client that leaves while waiting for room gives way to the next.
    @Test func roomIsNotLostWithWhoWaitsForIt() throws {
        let node = try FixedNode()
        try MemoryNetwork.run {
            var limits = ReplyBudget.Limits()
            (limits.server, limits.largeCall) = (100, 100)
            let dispatcher = RPCDispatcher(node, limits: Self.limits(), budget: ReplyBudget(limits)) { 0 }
            var ended: [Int] = []
            let tasks = (0..<4).map { number in
                Reactor.spawn {
                    _ = await dispatcher.respond(
                        to: Array(Self.held.utf8))
                    ended.append(number)
                }
            }
            try await Reactor.sleep(for: .milliseconds(10))
            #expect(node.hold.begun == 1)
            tasks[1].cancel()
            tasks[2].cancel()
            try await Reactor.sleep(for: .milliseconds(10))
            #expect(ended.sorted() == [1, 2])
            node.hold.open()
            try await Reactor.sleep(for: .milliseconds(10))
            #expect(ended.sorted() == [0, 1, 2, 3])
            #expect(node.hold.begun == 2)
        }
    }
}
