import Glibc
import TestSupport
import Testing
import VirtualIO

@testable import Reactor

/// The drivers under test in the conformance suites. Each test gets a loop of its own.
enum TestDriver: String, CaseIterable, CustomTestStringConvertible {
    case epoll
    case ioUring
    case virtual

    /// The drivers that use the kernel.
    static let real: [TestDriver] = [.epoll, .ioUring]

    var testDescription: String { rawValue }

    /// Runs `body` on a fresh loop.
    func run(_ body: @escaping @ReactorActor @Sendable () async throws -> Void) async throws {
        switch self {
        case .virtual: try MemoryNetwork.run(seed: 7, latency: .milliseconds(1), body)
        case .epoll: try await run(.epoll, body)
        case .ioUring: try await run(.ioUring, body)
        }
    }

    private func run(
        _ kind: Reactor.DriverKind, _ body: @escaping @ReactorActor @Sendable () async throws -> Void
    ) async throws {
        let loop = try EventLoop.start(kind, name: "test-\(rawValue)")
        defer { loop.stop() }
        try await loop.run(body)
    }
}

/// Connections begin and end the same way on every driver.
@Suite(.timeLimit(.minutes(2))) struct DriverConformance {
    @Test(arguments: TestDriver.allCases, ["127.0.0.1", "::1"])
    func acceptsAndConnects(_ driver: TestDriver, _ ip: String) async throws {
        try await driver.run {
            let server = try Server(ip)
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

    @Test(arguments: TestDriver.allCases)
    func refusesWhereNobodyListens(_ driver: TestDriver) async throws {
        try await driver.run {
            let server = try Server()
            let address = try server.address
            server.close()
            await #expect(throws: ReactorError.connectionRefused) {
                _ = try await TCPConnection.connect(to: address, timeout: .seconds(10))
            }
        }
    }

    @Test(arguments: TestDriver.allCases)
    func refusesASecondListenerAndAllowsAnotherAfterClose(_ driver: TestDriver) async throws {
        try await driver.run {
            let server = try Server()
            let address = try server.address
            #expect(throws: ReactorError.addressInUse) {
                _ = try TCPListener.listen(on: address) { $0.abort() }
            }
            server.close()
            // The loop cancels the request that holds the socket in the kernel.
            try await Reactor.sleep(for: .milliseconds(1))
            try TCPListener.listen(on: address) { $0.abort() }.close()
        }
    }

    /// As the kernel does some time after a process that used io_uring was killed.
    @Test(arguments: TestDriver.real)
    func listensOnceAnAddressIsReleased(_ driver: TestDriver) async throws {
        try await driver.run {
            let holder = try Socket.listening(
                on: SocketAddress(ip: "127.0.0.1", port: 0), takesIPv4: false, nonBlocking: false)
            try LoopThread.start("holder") {
                usleep(50_000)
                close(holder.descriptor)
            }
            try TCPListener.listen(on: holder.address) { $0.abort() }.close()
        }
    }

    @Test(arguments: TestDriver.real)
    func allAddressesAreThoseOfBothFamiliesIfAskedFor(_ driver: TestDriver) async throws {
        try await driver.run {
            let both = try Server("::", takesIPv4: true)
            for ip in ["127.0.0.1", "::1"] {
                let address = try SocketAddress(ip: ip, port: both.address.port)
                let near = try await TCPConnection.connect(to: address, timeout: .seconds(10))
                let far = await both.accepted.take()
                // An IPv4 address, not its IPv6-mapped form.
                #expect(far.remoteAddress == near.localAddress && far.remoteAddress.ip.description == ip)
                #expect(far.remoteAddress.isLoopback && far.localAddress == near.remoteAddress)
                near.abort()
                far.abort()
            }
            both.close()
            let one = try Server("::")
            let address = try SocketAddress(ip: "127.0.0.1", port: one.address.port)
            await #expect(throws: ReactorError.connectionRefused) {
                _ = try await TCPConnection.connect(to: address, timeout: .seconds(10))
            }
            one.close()
        }
    }

    @Test(arguments: TestDriver.real)
    func connectionsSurviveTheirListener(_ driver: TestDriver) async throws {
        try await driver.run {
            let server = try Server()
            let (near, far) = try await server.connect()
            server.close()
            near.send([9])
            await far.until { far.count == 1 }
            far.connection.abort()
            await near.untilClosed()
        }
    }

    @Test(arguments: TestDriver.allCases)
    func halfClosedConnectionsGoOnTheOtherWay(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            near.send([1])
            near.connection.closeWrite()
            #expect(!near.connection.isWritable)
            near.send([2])
            await far.until { far.peerHasClosedWrite }
            #expect(far.bytes == [1])
            #expect(!far.isClosed)
            let answer = [UInt8](repeating: 7, count: 300_000)
            far.send(answer)
            far.connection.closeWrite()
            await near.untilClosed()
            await far.untilClosed()
            #expect(near.bytes == answer)
            #expect(near.peerHasClosedWrite)
            #expect(near.error == nil && far.error == nil)
        }
    }

    @Test(arguments: TestDriver.allCases)
    func abortResetsThePeer(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            near.send([UInt8](repeating: 1, count: 100))
            await far.until { far.count == 100 }
            near.connection.abort()
            await near.untilClosed()
            await far.untilClosed()
            #expect(near.error == nil)
            #expect(far.error == .connectionReset)
            #expect(!far.peerHasClosedWrite)
            #expect(near.closeCount == 1 && far.closeCount == 1)
        }
    }

    @Test(arguments: TestDriver.allCases)
    func aResetAfterAHalfCloseIsReported(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            near.connection.closeWrite()
            await far.until { far.peerHasClosedWrite }
            far.connection.abort()
            await near.untilClosed()
            await far.untilClosed()
            #expect(near.error == .connectionReset && far.error == nil)
            #expect(!near.peerHasClosedWrite)
        }
    }

    @Test(arguments: TestDriver.allCases)
    func abortDropsASendThatIsUnderWay(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            far.connection.pauseReceiving()
            near.send(pattern(8_000_000))
            try await Reactor.sleep(for: .milliseconds(5))
            #expect(near.connection.queuedBytes > 0)
            near.connection.abort()
            await near.untilClosed()
            #expect(near.error == nil)
            far.connection.resumeReceiving()
            await far.untilClosed()
            #expect(far.error == .connectionReset)
            // A request in the kernel may hold the bytes for a moment.
            while near.connection.queuedBytes > 0 { try await Reactor.sleep(for: .milliseconds(1)) }
        }
    }

    @Test(arguments: TestDriver.allCases)
    func closeFinishesASendThatIsUnderWay(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            far.connection.pauseReceiving()
            let bytes = pattern(8_000_000)
            near.send(bytes)
            try await Reactor.sleep(for: .milliseconds(5))
            #expect(near.connection.queuedBytes > 0)
            near.connection.close()
            try await Reactor.sleep(for: .milliseconds(5))
            #expect(!near.isClosed)
            far.connection.resumeReceiving()
            await far.until { far.peerHasClosedWrite }
            #expect(far.bytes == bytes)
            far.connection.closeWrite()
            await near.untilClosed()
            await far.untilClosed()
            #expect(near.error == nil && far.error == nil)
        }
    }

    /// A receive that is being cancelled does not keep the connection open.
    @Test(arguments: TestDriver.allCases)
    func endsDuringAPause(_ driver: TestDriver) async throws {
        try await driver.run {
            for abrupt in [false, true] {
                let (near, far) = try await Server().connect()
                near.send([1])
                await far.until { far.count == 1 }
                far.connection.pauseReceiving()
                // The next turn passes the pause to the driver.
                try await Reactor.sleep(for: .zero)
                near.send([2])
                if abrupt { far.connection.abort() } else { far.connection.close() }
                await far.untilClosed()
                near.connection.close()
                await near.untilClosed()
                #expect(far.error == nil && far.count == 1)
            }
        }
    }

    @Test(arguments: TestDriver.allCases)
    func aListenerMayCloseItselfWhenItAccepts(_ driver: TestDriver) async throws {
        try await driver.run {
            let accepted = Mailbox<TCPConnection>()
            var itself: TCPListener?
            let listener = try TCPListener.listen(on: try SocketAddress(ip: "127.0.0.1", port: 0)) {
                itself?.close()
                accepted.put($0)
            }
            itself = listener
            let address = listener.localAddress
            let near = Recorder(try await TCPConnection.connect(to: address, timeout: .seconds(10)))
            let far = Recorder(await accepted.take())
            near.send([1])
            await far.until { far.count == 1 }
            var error: ReactorError?
            while error == nil {
                do throws(ReactorError) {
                    try await TCPConnection.connect(to: address, timeout: .seconds(10)).abort()
                } catch let refusal {
                    error = refusal
                }
            }
            #expect(error == .connectionRefused)
            near.connection.abort()
            await far.untilClosed()
        }
    }

    @Test(arguments: TestDriver.allCases)
    func closeSendsWhatIsQueuedAndDropsWhatComes(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            far.send([UInt8](repeating: 3, count: 1000))
            let bytes = pattern(3_000_000)
            near.send(bytes)
            near.connection.close()
            near.send([1, 2, 3])
            await far.until { far.peerHasClosedWrite }
            #expect(far.bytes == bytes)
            far.connection.close()
            await near.untilClosed()
            await far.untilClosed()
            #expect(near.error == nil && far.error == nil)
            #expect(near.bytes.isEmpty)
        }
    }

    @Test(arguments: TestDriver.allCases)
    func aDelegateMayEndTheConnectionFromEveryCall(_ driver: TestDriver) async throws {
        try await driver.run {
            for abrupt in [false, true] {
                let (near, far) = try await Server().connect()
                near.send(pattern(500_000))
                far.onReceived = { [unowned far] _ in
                    if abrupt { far.connection.abort() } else { far.connection.close() }
                }
                await far.untilClosed()
                let seen = far.count
                near.connection.close()
                await near.untilClosed()
                #expect(far.closeCount == 1)
                #expect(far.count == seen)
            }
        }
    }

    @Test(arguments: TestDriver.allCases)
    func aDelegateSetAfterTheEndIsToldOfIt(_ driver: TestDriver) async throws {
        try await driver.run {
            let server = try Server()
            let near = try await TCPConnection.connect(to: try server.address, timeout: .seconds(10))
            let far = await server.accepted.take()
            far.abort()
            near.abort()
            try await Reactor.sleep(for: .milliseconds(20))
            for connection in [near, far] {
                let recorder = Recorder(connection)
                await recorder.untilClosed()
                #expect(recorder.closeCount == 1)
            }
            server.close()
        }
    }

    @Test(arguments: TestDriver.allCases)
    func connectHonoursCancellation(_ driver: TestDriver) async throws {
        try await driver.run {
            let server = try Server()
            let address = try server.address
            let outcome = Mailbox<ReactorError?>()
            let task = Reactor.spawn {
                do throws(ReactorError) {
                    let connection = try await TCPConnection.connect(to: address, timeout: .seconds(10))
                    connection.abort()
                    outcome.put(nil)
                } catch {
                    outcome.put(error)
                }
            }
            task.cancel()
            #expect(await outcome.take() == .cancelled)
            server.close()
        }
    }

    @Test(arguments: TestDriver.real)
    func connectTimesOut(_ driver: TestDriver) async throws {
        try await driver.run {
            // A listener whose queue is full no longer answers: fill one that never accepts.
            let (descriptor, address) = try unresponsiveListener()
            defer { close(descriptor) }
            var kept: [TCPConnection] = []
            var error: ReactorError?
            while error == nil {
                do throws(ReactorError) {
                    kept.append(try await TCPConnection.connect(to: address, timeout: .milliseconds(200)))
                } catch let refusal {
                    error = refusal
                }
            }
            #expect(error == .timedOut)
            for connection in kept { connection.abort() }
        }
    }
}
