import Bytes
import TestSupport
import Testing

@testable import Reactor

/// On every driver, bytes arrive complete and in order, and a slow side costs neither memory nor other connections'
/// time.
@Suite(.timeLimit(.minutes(2))) struct TransferConformance {
    @Test(arguments: TestDriver.allCases)
    func largeTransfersArriveWholeBothWays(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            let size = 6_000_000
            for end in [near, far] {
                end.keepsBytes = false
                let producer = Producer(end.connection, size: size)
                let checker = PatternChecker()
                end.onReceived = { checker.check($0) }
                end.onDrained = { producer.produce() }
                producer.produce()
                _ = Reactor.spawn {
                    await end.until { end.count == size }
                    #expect(checker.isRight)
                    end.connection.close()
                }
            }
            await near.untilClosed()
            await far.untilClosed()
            #expect(near.count == size && far.count == size)
            #expect(near.error == nil && far.error == nil)
        }
    }

    @Test(arguments: TestDriver.allCases)
    func everyWayOfSendingKeepsTheOrder(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            let connection = near.connection
            let bytes = pattern(2_000_000)
            var position = 0
            var turn = 0
            while position < bytes.count {
                let count = min([1, 70_000, 4096, 5000, 40_000, 300_000][turn % 6], bytes.count - position)
                let piece = position..<position + count
                if turn % 3 == 1, count <= TCPConnection.largestReservation {
                    let room = connection.reserve(count)
                    #expect(room.count >= count)
                    room.copyBytes(from: bytes[piece])
                    connection.commit(count)
                } else {
                    bytes[piece].withUnsafeBytes { connection.send($0) }
                }
                position += count
                turn += 1
                if turn % 5 == 0 { try await Reactor.sleep(for: .milliseconds(1)) }
            }
            await far.until { far.count == bytes.count }
            #expect(far.bytes == bytes)
            near.connection.abort()
            far.connection.abort()
        }
    }

    @Test(arguments: TestDriver.allCases)
    func reservationsThatAreNotUsedSendNothing(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            _ = near.connection.reserve(70_000)
            near.connection.commit(0)
            _ = near.connection.reserve(10)
            [UInt8](repeating: 5, count: 9000).withUnsafeBytes { near.connection.send($0) }
            _ = near.connection.reserve(70_000)
            near.connection.commit(-1)
            let room = near.connection.reserve(2)
            room[0] = 6
            room[1] = 7
            near.connection.commit(2)
            await far.until { far.count == 9002 }
            #expect(far.bytes == [UInt8](repeating: 5, count: 9000) + [6, 7])
            #expect(near.connection.queuedBytes == 0)
            near.connection.abort()
            _ = near.connection.reserve(200_000)
            near.connection.commit(.max)
            await near.untilClosed()
            _ = near.connection.reserve(1)
            near.connection.commit(1)
            #expect(near.connection.queuedBytes == 0)
        }
    }

    @Test(arguments: TestDriver.allCases)
    func pausingLosesNothingAndHoldsThePeerBack(_ driver: TestDriver) async throws {
        try await transfer(6_000_000, driver) { resume in
            Reactor.schedule(after: .microseconds(200), resume)
        }
    }

    /// The pause ends before the loop calls `attend`.
    @Test(arguments: TestDriver.allCases)
    func aPauseWithinATurnLosesNothing(_ driver: TestDriver) async throws {
        try await transfer(1_000_000, driver) { Reactor.enqueue($0) }
    }

    /// Transfers `count` bytes to a receiver that pauses after each piece and calls `pause` to be resumed.
    private func transfer(
        _ count: Int, _ driver: TestDriver,
        pause: @escaping @ReactorActor @Sendable (@escaping @ReactorActor @Sendable () -> Void) -> Void
    ) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            let bytes = pattern(count)
            far.onReceived = { [unowned far] _ in
                far.connection.pauseReceiving()
                pause { far.connection.resumeReceiving() }
            }
            near.send(bytes)
            near.connection.closeWrite()
            await far.until { far.peerHasClosedWrite }
            #expect(far.bytes == bytes)
            far.connection.close()
            await far.untilClosed()
        }
    }

    @Test(arguments: TestDriver.allCases)
    func aPeerThatStopsReadingHoldsUpNobodyElse(_ driver: TestDriver) async throws {
        try await driver.run {
            let server = try Server()
            let (near, far) = try await server.connect()
            far.connection.pauseReceiving()
            // A producer that respects high water stops, however much the kernel buffers.
            let producer = Producer(near.connection, size: .max)
            near.onDrained = { producer.produce() }
            producer.produce()
            let (otherNear, otherFar) = try await server.connect()
            otherFar.onReceived = { [unowned otherFar] in otherFar.send([UInt8]($0)) }
            for round in 1...200 {
                otherNear.send([UInt8](repeating: 1, count: 1000))
                await otherNear.until { otherNear.count == round * 1000 }
            }
            try await untilStable { producer.produced }
            let stuck = producer.produced
            #expect(near.connection.queuedBytes > TCPConnection.lowWater)
            #expect(near.connection.queuedBytes <= TCPConnection.highWater + Producer.pieceSize)
            far.connection.resumeReceiving()
            await far.until { far.count > stuck }
            #expect(near.drainedCount > 0)
            for end in [near, far, otherNear, otherFar] { end.connection.abort() }
            server.close()
        }
    }

    @Test(arguments: TestDriver.allCases)
    func closingAgainstAPeerThatDoesNotReadIsBounded(_ driver: TestDriver) async throws {
        // The limit of five seconds takes no real time on a virtual clock.
        guard driver == .virtual else { return }
        try await driver.run {
            let (near, far) = try await Server().connect()
            far.connection.pauseReceiving()
            near.send(pattern(5_000_000))
            let start = Reactor.now
            near.connection.close()
            await near.untilClosed()
            #expect(near.error == .timedOut)
            #expect(Reactor.now - start == TCPConnection.flushLimit)
            await far.untilClosed()
            #expect(far.error == .connectionReset)
        }
    }

    @Test(arguments: TestDriver.allCases)
    func aThousandIdleConnectionsAllAnswer(_ driver: TestDriver) async throws {
        try await driver.run {
            let server = try Server()
            var pairs: [(near: Recorder, far: Recorder)] = []
            for _ in 0..<1000 { pairs.append(try await server.connect()) }
            for pair in pairs { pair.near.send([1]) }
            for pair in pairs { await pair.far.until { pair.far.count == 1 } }
            for pair in pairs { pair.far.send([2, 3]) }
            for pair in pairs { await pair.near.until { pair.near.count == 2 } }
            for pair in pairs {
                #expect(pair.near.connection.queuedBytes == 0)
                pair.near.connection.close()
            }
            for pair in pairs {
                await pair.far.until { pair.far.peerHasClosedWrite }
                pair.far.connection.close()
                await pair.far.untilClosed()
            }
            server.close()
        }
    }

    @Test(arguments: TestDriver.real)
    func aPeerThatVanishesWhileSendingIsReported(_ driver: TestDriver) async throws {
        try await driver.run {
            let (near, far) = try await Server().connect()
            far.connection.pauseReceiving()
            near.send(pattern(8_000_000))
            try await Reactor.sleep(for: .milliseconds(5))
            far.connection.abort()
            await near.untilClosed()
            #expect(near.error == .connectionReset)
            #expect(near.connection.queuedBytes == 0)
        }
    }
}
