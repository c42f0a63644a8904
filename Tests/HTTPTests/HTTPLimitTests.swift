import Reactor
import Testing
import VirtualIO

@testable import HTTP

/// What clients may consume in connections, bytes and time, on a virtual network.
@Suite struct HTTPLimitTests {
    // MARK: Connections

    @Test func refusedConnectionsAreToldAndForgotten() throws {
        try withServer(limits: {
            $0.maximumConnections = 8
            $0.maximumRefusals = 4
        }) { server, _ in
            for _ in 0..<20 {
                var clients: [RawClient] = []
                for _ in 0..<20 { clients.append(try await RawClient.connect(server.localAddress)) }
                try await clients[0].wait()
                #expect(server.connectionCount == 8)
                let told = clients.filter {
                    $0.text.hasPrefix("HTTP/1.1 503 ") && $0.text.contains("retry-after: 1\r\n")
                }
                #expect(told.count == 4)
                #expect(clients.filter { $0.error == .connectionReset }.count == 8)
                #expect(try await clients[0].ask(get("/hello")).hasSuffix("hello"))
                for client in clients { client.tcp.close() }
                try await clients[0].wait(.seconds(3))
                #expect(server.connectionCount == 0)
            }
            #expect(server.metrics.refusals.value == 20 * 12)
        }
    }

    @Test func noAddressTakesAllConnections() throws {
        try withServer(limits: {
            $0.maximumConnections = 16
            $0.maximumConnectionsPerAddress = 4
        }) { server, _ in
            var greedy: [RawClient] = []
            for _ in 0..<6 {
                greedy.append(try await RawClient.connect(server.localAddress, from: "198.51.100.1"))
            }
            let other = try await RawClient.connect(server.localAddress, from: "198.51.100.2")
            #expect(try await other.ask(get("/hello")).hasSuffix("hello"))
            #expect(greedy.filter { $0.text.hasPrefix("HTTP/1.1 503 ") }.count == 2)
            greedy[0].tcp.close()
            try await other.wait()
            let again = try await RawClient.connect(server.localAddress, from: "198.51.100.1")
            #expect(try await again.ask(get("/hello")).hasSuffix("hello"))
            for _ in 0..<8 {
                greedy.append(try await RawClient.connect(server.localAddress, from: "127.0.0.1"))
            }
            try await other.wait()
            #expect(server.connectionCount == 13)
        }
    }

    @Test func aFewAddressesDoNotKeepOthersOut() throws {
        try withServer(limits: {
            $0.maximumConnections = 8
            $0.maximumConnectionsPerAddress = 4
        }) { server, _ in
            var greedy: [RawClient] = []
            for address in 1...2 {
                for _ in 0..<4 {
                    greedy.append(
                        try await RawClient.connect(server.localAddress, from: "198.51.100.\(address)"))
                }
            }
            try await greedy[0].wait()
            #expect(server.connectionCount == 8)
            for address in 3...4 {
                let other = try await RawClient.connect(server.localAddress, from: "198.51.100.\(address)")
                #expect(try await other.ask(get("/hello")).hasSuffix("hello"))
            }
            #expect(server.connectionCount == 8)
            #expect(greedy.filter { $0.error == .connectionReset }.count == 2)
        }
    }

    @Test func aNetworkOfIPv6CountsAsOneAddress() throws {
        let one = try SocketAddress(ip: "2001:db8:1:2:3:4:5:6", port: 7).network
        #expect(try one == SocketAddress(ip: "2001:db8:1:2:ffff::1", port: 9).network)
        #expect(try one != SocketAddress(ip: "2001:db8:1:3:3:4:5:6", port: 7).network)
        #expect(try SocketAddress(ip: "::1", port: 7).network.isLoopback)
        #expect(
            try SocketAddress(ip: "192.0.2.1", port: 7).network
                != SocketAddress(ip: "192.0.2.2", port: 7).network)
    }

    // MARK: Time

    @Test func idleConnectionsEnd() throws {
        try withServer(limits: { $0.idleTime = .seconds(60) }) { server, _ in
            let fresh = try await RawClient.connect(server.localAddress)
            let used = try await RawClient.connect(server.localAddress)
            try await used.wait(.seconds(30))
            #expect(try await used.ask(get("/hello")).hasSuffix("hello"))
            try await used.wait(.seconds(31))
            #expect(fresh.hasServerEnded && fresh.text.isEmpty)
            #expect(!used.hasServerEnded)
            try await used.wait(.seconds(30))
            #expect(used.hasServerEnded && used.text.isEmpty)
            // Neither client sends anything: both are disconnected after a while.
            try await used.wait(.seconds(10))
            #expect(server.connectionCount == 0)
        }
    }

    @Test func slowHeadersEnd() throws {
        try withServer(limits: { $0.headerTime = .seconds(10) }) { server, _ in
            let client = try await RawClient.connect(server.localAddress)
            try await client.wait(.seconds(30))
            client.send("GET /hello HTTP/1.1\r\nHost: a\r\n")
            for _ in 0..<9 {
                try await client.wait(.seconds(1))
                #expect(client.text.isEmpty)
                client.send("x: y\r\n")
            }
            try await client.wait(.seconds(1.1))
            #expect(client.text.hasPrefix("HTTP/1.1 408 "))
            #expect(client.hasServerEnded)
        }
    }

    @Test func aSlowHeaderBehindAWholeRequestEnds() throws {
        try withServer(limits: { $0.headerTime = .seconds(10) }) { server, _ in
            let client = try await RawClient.connect(server.localAddress)
            #expect(try await client.ask(get("/hello") + "GET").hasSuffix("hello"))
            try await client.wait(.seconds(9))
            #expect(client.text.isEmpty)
            try await client.wait(.seconds(1.1))
            #expect(client.text.hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test func slowBodiesEnd() throws {
        try withServer(limits: { $0.bodyTime = .seconds(30) }) { server, _ in
            let client = try await RawClient.connect(server.localAddress)
            client.send(String(echo(String(repeating: "x", count: 100)).dropLast(100)))
            for _ in 0..<29 {
                try await client.wait(.seconds(1))
                #expect(client.text.isEmpty)
                client.send("x")
            }
            try await client.wait(.seconds(1.1))
            #expect(client.text.hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test func lateAnswersAreReplaced() throws {
        try withServer(limits: { $0.requestTime = .seconds(5) }) { server, service in
            for path in ["/slow", "/deaf"] {
                let client = try await RawClient.connect(server.localAddress)
                client.send(get(path))
                try await client.wait(.seconds(4.9))
                #expect(client.text.isEmpty)
                try await client.wait(.seconds(0.2))
                #expect(client.text.hasPrefix("HTTP/1.1 503 ") && client.text.contains("retry-after: 1\r\n"))
                #expect(client.hasServerEnded)
                client.tcp.close()
                try await client.wait(.seconds(1))
                // A handler that does not return keeps its connection counted.
                #expect(server.connectionCount == (path == "/deaf" ? 1 : 0))
                try await client.wait(.seconds(100))
                #expect(client.text.ranges(of: "HTTP/1.1").count == 1)
            }
            #expect(service.cancelled == 1)
            #expect(server.connectionCount == 0)
        }
    }

    @Test func requestsOfClientsThatAreGoneStop() throws {
        try withServer { server, service in
            // A reset is noticed at once, a closed socket when the first interim response reaches it.
            let reset = try await RawClient.connect(server.localAddress)
            reset.send(get("/slow"))
            try await reset.wait()
            reset.tcp.abort()
            try await reset.wait()
            #expect(service.cancelled == 1)
            let closed = try await RawClient.connect(server.localAddress)
            closed.send(get("/slow"))
            try await closed.wait()
            closed.tcp.close()
            try await closed.wait(.seconds(3))
            #expect(service.cancelled == 2)
            #expect(service.answered == 0)
            #expect(server.connectionCount == 0)
        }
    }

    // MARK: Replies

    @Test func aClientThatDoesNotReadIsHeldThenCut() throws {
        try withServer(limits: { $0.stallTime = .seconds(10) }) { server, service in
            let client = try await RawClient.connect(server.localAddress)
            client.tcp.pauseReceiving()
            client.send(String(repeating: get("/big"), count: 50))
            try await client.wait(.seconds(5))
            // One response exceeds the high-water mark, so the next request waits.
            #expect(service.answered == 1)
            #expect(server.connectionCount == 1)
            try await client.wait(.seconds(20))
            #expect(service.answered == 1)
            #expect(server.connectionCount == 0)
        }
    }

    @Test func aSlowReaderGetsEverything() throws {
        try withServer(limits: { $0.stallTime = .seconds(10) }) { server, service in
            VirtualNetwork.current?.setReadRate(
                try SocketAddress(ip: "198.51.100.7", port: 0), bytesPerSecond: 50_000)
            let client = try await RawClient.connect(server.localAddress, from: "198.51.100.7")
            client.send(get("/big") + get("/hello", "Connection: close\r\n"))
            try await client.wait(.seconds(60))
            #expect(client.bytes.count > 2 << 20)
            #expect(client.text.hasSuffix("hello"))
            #expect(service.answered == 2)
        }
    }

    @Test func repliesHaveABudgetInAll() throws {
        try withServer(limits: { $0.maximumQueuedBytes = 5 << 20 }) { server, _ in
            var lazy: [RawClient] = []
            for number in 1...4 {
                let client = try await RawClient.connect(server.localAddress, from: "198.51.100.\(number)")
                client.tcp.pauseReceiving()
                client.send(get("/big"))
                lazy.append(client)
            }
            let client = try await RawClient.connect(server.localAddress)
            let refused = try await client.ask(get("/hello"))
            #expect(refused.hasPrefix("HTTP/1.1 503 ") && refused.contains("retry-after: 1\r\n"))
            #expect(!refused.contains("connection: close"))
            for client in lazy { client.tcp.resumeReceiving() }
            try await client.wait(.seconds(1))
            #expect(try await client.ask(get("/hello")).hasSuffix("hello"))
        }
    }

    @Test func noAddressTakesAllRoomForReplies() throws {
        try withServer(limits: { $0.maximumQueuedBytes = 12 << 20 }) { server, _ in
            var lazy: [RawClient] = []
            for _ in 0..<8 {
                let client = try await RawClient.connect(server.localAddress, from: "198.51.100.1")
                client.tcp.pauseReceiving()
                client.send(get("/big"))
                try await client.wait()
                lazy.append(client)
            }
            let own = try await RawClient.connect(server.localAddress, from: "198.51.100.1")
            #expect(try await own.ask(get("/hello")).hasPrefix("HTTP/1.1 503 "))
            let other = try await RawClient.connect(server.localAddress, from: "198.51.100.2")
            #expect(try await other.ask(get("/hello")).hasSuffix("hello"))
            for client in lazy { client.tcp.resumeReceiving() }
            try await own.wait(.seconds(1))
            #expect(lazy.filter { $0.text.hasPrefix("HTTP/1.1 200 ") }.count == 2)
            #expect(try await own.ask(get("/hello")).hasSuffix("hello"))
        }
    }

    @Test func handlersKnowWhatTheyMayReply() throws {
        try withServer(limits: {
            $0.maximumReplySize = 1000
            $0.maximumQueuedBytes = 5 << 20
        }) { server, service in
            let client = try await RawClient.connect(server.localAddress)
            _ = try await client.ask(echo("a"))
            #expect(service.limits == [1000])
        }
    }

    // MARK: Requests

    @Test func heldRequestsHaveABudgetInAll() throws {
        try withServer(limits: {
            $0.maximumHeldBytes = 300_000
            $0.maximumConnectionsPerAddress = $0.maximumConnections
        }) { server, service in
            let part = String(echo(String(repeating: "x", count: 100_000)).dropLast())
            var slow: [RawClient] = []
            for _ in 0..<6 {
                let client = try await RawClient.connect(server.localAddress)
                client.send(part)
                try await client.wait()
                slow.append(client)
            }
            #expect(slow.filter { $0.text.hasPrefix("HTTP/1.1 503 ") }.count == 3)
            // Small requests are free of charge.
            let small = try await RawClient.connect(server.localAddress)
            #expect(try await small.ask(echo("abc")).hasSuffix("abc"))
            for client in slow { client.send("x") }
            try await small.wait()
            #expect(service.answered == 4)
            #expect(slow.filter { $0.text.hasPrefix("HTTP/1.1 200 ") }.count == 3)
            try await small.wait()
            #expect(server.heldBytes == 0)
        }
    }

    @Test func noAddressTakesAllRoomForRequests() throws {
        try withServer(limits: { $0.maximumHeldBytes = 800_000 }) { server, _ in
            let part = String(echo(String(repeating: "x", count: 100_000)).dropLast())
            var slow: [RawClient] = []
            for number in [1, 1, 1, 1, 2] {
                let client = try await RawClient.connect(server.localAddress, from: "198.51.100.\(number)")
                client.send(part)
                try await client.wait()
                slow.append(client)
            }
            #expect(slow.filter { $0.text.hasPrefix("HTTP/1.1 503 ") }.count == 2)
            #expect(slow.last?.text == "")
            for client in slow { client.send("x") }
            try await slow[0].wait()
            #expect(slow.filter { $0.text.hasPrefix("HTTP/1.1 200 ") }.count == 3)
            #expect(server.heldBytes == 0)
        }
    }

    /// A proxy that may have all connections may have all bytes.
    @Test func theShareOfBytesFollowsThatOfConnections() throws {
        var limits = HTTPServer.Limits()
        let address = try SocketAddress(ip: "198.51.100.1", port: 0).network
        #expect(limits.share(of: 800, address) == 200)
        #expect(limits.share(of: 800, try SocketAddress(ip: "127.0.0.1", port: 0).network) == 800)
        limits.maximumConnectionsPerAddress = limits.maximumConnections / 2
        #expect(limits.share(of: 81_920, address) == 40_960)
        limits.maximumConnectionsPerAddress = limits.maximumConnections
        #expect(limits.share(of: 800, address) == 800)
    }

    @Test func pipelinedBytesAreHeldBack() throws {
        try withServer { server, _ in
            let client = try await RawClient.connect(server.localAddress)
            client.send(get("/slow") + String(repeating: get("/hello"), count: 100_000))
            try await client.wait(.seconds(1))
            #expect(server.heldBytes < 1 << 20)
            #expect(client.tcp.queuedBytes > 1 << 20)
            client.tcp.abort()
            try await client.wait()
            #expect(server.heldBytes == 0)
        }
    }
}
