import Testing

@testable import Reactor

/// What every driver must do, on a loop of the test's own for each.
@Suite struct DriverConformance {
    /// The drivers under test.
    enum Kind: String, CaseIterable {
        case epoll
        case ioUring
        case virtual
    }

    /// Runs `body` on a fresh loop.
    static func on(_ kind: Kind, _ body: @escaping @ReactorActor @Sendable () async throws -> Void)
        async throws
    {
        switch kind {
        case .virtual: try MemoryNetwork.run(seed: 7, latency: .milliseconds(1), body)
        case .epoll: try await run(.epoll, body)
        case .ioUring: try await run(.ioUring, body)
        }
    }

    private static func run(
        _ kind: Reactor.DriverKind, _ body: @escaping @ReactorActor @Sendable () async throws -> Void
    ) async throws {
        let loop = try EventLoop.start(kind, name: "test-\(kind.rawValue)")
        defer { loop.stop() }
        try await loop.run(body)
    }

    @Test(arguments: Kind.allCases)
    func acceptsAndConnects(_ kind: Kind) async throws {
        try await Self.on(kind) {
            let server = try Server()
            #expect(try server.address.port != 0)
            let (near, far) = try await server.connect()
            #expect(near.connection.remoteAddress == far.connection.localAddress)
            #expect(near.connection.localAddress == far.connection.remoteAddress)
            near.send([1, 2, 3])
            await far.until { far.count == 3 }
            far.send([4, 5])
            await near.until { near.count == 2 }
            #expect(far.bytes == [1, 2, 3])
            #expect(near.bytes == [4, 5])
            near.connection.close()
            await far.until { far.peerHasClosedWrite }
            far.connection.close()
            await near.untilClosed()
            await far.untilClosed()
            #expect(near.error == nil && far.error == nil)
            #expect(near.closeCount == 1 && far.closeCount == 1)
            server.close()
        }
    }

    @Test(arguments: Kind.allCases)
    func refusesWhereNobodyListens(_ kind: Kind) async throws {
        try await Self.on(kind) {
            let server = try Server()
            let address = try server.address
            server.close()
            await #expect(throws: ReactorError.connectionRefused) {
                _ = try await TCPConnection.connect(to: address, timeout: .seconds(10))
            }
        }
    }
}
