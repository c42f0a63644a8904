import Testing

@testable import Reactor

/// The behaviour of a connection in each state, with a scripted driver.
@Suite struct ConnectionStateTests {
    enum Step {
        // The owner's calls.
        case listen, send(Int), closeWrite, close, abort, pause, resume
        // The driver's reports.
        case bytes(Int), end, failure
        /// The kernel accepts this many more bytes.
        case room(Int)
        /// FIN cannot be sent.
        case refuseFIN
    }

    struct Row: CustomTestStringConvertible {
        let testDescription: String
        /// The loop calls `attend` after each group.
        let groups: [[Step]]
        /// The calls of the driver and the delegate.
        let log: [String]

        init(_ description: String, _ groups: [[Step]], _ log: [String]) {
            testDescription = description
            self.groups = groups
            self.log = log
        }
    }

    static let rows: [Row] = [
        // Ending in order.
        Row("close, peer's FIN", [[.listen, .send(3), .close], [.end]], ["FIN", "closed", "shut"]),
        Row("peer's FIN, close", [[.listen, .end], [.close]], ["peer's FIN", "FIN", "shut", "closed"]),
        Row("both at once", [[.listen, .end, .close]], ["FIN", "shut", "closed"]),
        Row(
            "half-close, peer's FIN", [[.listen, .closeWrite], [.end]],
            ["FIN", "peer's FIN", "shut", "closed"]),
        Row(
            "peer's FIN, half-close", [[.listen, .end], [.closeWrite]],
            ["peer's FIN", "FIN", "shut", "closed"]),
        Row("half-close twice", [[.listen, .closeWrite], [.closeWrite]], ["FIN"]),
        Row("half-close, close", [[.listen, .closeWrite], [.close], [.end]], ["FIN", "closed", "shut"]),
        Row("close twice", [[.listen, .close], [.close], [.end]], ["FIN", "closed", "shut"]),
        // With a send under way.
        Row(
            "close with bytes queued",
            [[.listen, .room(0), .send(10), .close], [.room(4)], [.room(6)], [.end]],
            ["FIN", "closed", "shut"]),
        Row(
            "half-close with bytes queued",
            [[.listen, .room(0), .send(10), .closeWrite], [.end], [.room(9)], [.room(1)]],
            ["peer's FIN", "FIN", "shut", "closed"]),
        Row("close, peer's FIN, bytes left", [[.listen, .room(0), .send(10), .close], [.end]], []),
        Row("abort with bytes queued", [[.listen, .room(0), .send(10)], [.abort]], ["RST", "closed"]),
        Row(
            "abort of a close", [[.listen, .room(0), .send(10), .close], [.abort], [.room(10)]],
            ["RST", "closed"]),
        Row(
            "failure of a close", [[.listen, .room(0), .send(10), .close], [.failure]],
            ["RST", "closed: connection reset by peer"]),
        // Ending abruptly.
        Row("abort", [[.listen, .abort]], ["RST", "closed"]),
        Row("close and abort", [[.listen, .close, .abort]], ["RST", "closed"]),
        Row("failure", [[.listen, .failure]], ["RST", "closed: connection reset by peer"]),
        Row("failure and abort", [[.listen, .failure, .abort]], ["RST", "closed"]),
        Row("abort and failure", [[.listen, .abort, .failure]], ["RST", "closed"]),
        Row(
            "failure and close", [[.listen, .failure, .close]], ["RST", "closed: connection reset by peer"]),
        Row(
            "failure and peer's FIN", [[.listen, .end, .failure]],
            ["RST", "closed: connection reset by peer"]),
        Row("half-close, abort", [[.listen, .closeWrite], [.abort]], ["FIN", "RST", "closed"]),
        Row(
            "half-close, failure", [[.listen, .closeWrite], [.failure]],
            ["FIN", "RST", "closed: connection reset by peer"]),
        Row(
            "peer's FIN, failure", [[.listen, .end], [.failure]],
            ["peer's FIN", "RST", "closed: connection reset by peer"]),
        Row("close, failure", [[.listen, .close], [.failure]], ["FIN", "closed", "RST"]),
        Row("close, abort", [[.listen, .close], [.abort], [.end]], ["FIN", "closed", "shut"]),
        Row("abort twice", [[.listen, .abort], [.abort], [.failure], [.end]], ["RST", "closed"]),
        // A FIN that cannot be sent.
        Row("close without FIN", [[.listen, .refuseFIN, .close]], ["FIN", "closed", "RST"]),
        Row(
            "close without FIN after the peer's", [[.listen, .refuseFIN, .end], [.close]],
            ["peer's FIN", "FIN", "shut", "closed"]),
        Row(
            "half-close without FIN", [[.listen, .refuseFIN, .closeWrite]],
            ["FIN", "RST", "closed: connection reset by peer"]),
        // Receiving.
        Row("bytes", [[.listen, .bytes(5)], [.bytes(6)]], ["5 bytes", "6 bytes"]),
        Row(
            "bytes and FIN during a pause",
            [[.listen, .pause], [.bytes(5), .end], [.closeWrite], [.resume]],
            ["FIN", "5 bytes", "peer's FIN", "shut", "closed"]),
        Row(
            "close during a pause", [[.listen, .pause, .bytes(5)], [.close], [.end]],
            ["FIN", "closed", "shut"]),
        Row("bytes of a close", [[.listen, .close], [.bytes(5)]], ["FIN", "closed"]),
        Row("bytes of an abort", [[.listen, .abort, .bytes(5)]], ["RST", "closed"]),
        // Without a delegate.
        Row("bytes before the delegate", [[.bytes(5)], [.end], [.listen]], ["5 bytes", "peer's FIN"]),
        Row("close before the delegate", [[.close], [.end], [.listen]], ["FIN", "shut", "closed"]),
        Row("delegate of a close", [[.close], [.listen], [.end]], ["FIN", "closed", "shut"]),
        Row("abort before the delegate", [[.abort], [.listen]], ["RST", "closed"]),
        Row(
            "failure before the delegate", [[.failure], [.listen]],
            ["RST", "closed: connection reset by peer"]),
        // High water.
        Row(
            "drained", [[.listen, .room(0), .send(2 << 20)], [.room(1 << 20)], [.room(1 << 20)]], ["drained"]),
        Row(
            "drained of a close", [[.listen, .room(0), .send(2 << 20), .close], [.room(2 << 20)]],
            ["FIN", "closed"]),
    ]

    @Test(arguments: rows) func doesWhatItsStateAsksFor(_ row: Row) async throws {
        try await TestDriver.epoll.run {
            let address = try SocketAddress(ip: "127.0.0.1", port: 1)
            let driver = ScriptedDriver()
            let connection = TCPConnection(
                loop: Reactor.loop, driver: driver, local: address, remote: address)
            for group in row.groups {
                for step in group { driver.perform(step, on: connection) }
                // The second call acts on what the first finds.
                connection.attend()
                connection.attend()
            }
            #expect(driver.log == row.log)
        }
    }

    @Test func isWritableUntilItEnds() async throws {
        try await TestDriver.epoll.run {
            let address = try SocketAddress(ip: "127.0.0.1", port: 1)
            let driver = ScriptedDriver()
            for step in [Step.closeWrite, .close, .abort, .failure] {
                let connection = TCPConnection(
                    loop: Reactor.loop, driver: driver, local: address, remote: address)
                driver.perform(.room(0), on: connection)
                #expect(connection.isWritable)
                driver.perform(step, on: connection)
                driver.perform(.send(5), on: connection)
                #expect(!connection.isWritable && connection.queuedBytes == 0)
            }
        }
    }
}

/// A driver that logs its calls, and whose kernel accepts as many bytes as a test allows.
private final class ScriptedDriver: Driver {
    var log: [String] = []
    private var room = Int.max
    private var refusesFIN = false

    init() { super.init(name: "scripted") }

    func perform(_ step: ConnectionStateTests.Step, on connection: TCPConnection) {
        switch step {
        case .listen: connection.delegate = Listening { [unowned self] in log.append($0) }
        case .send(let count): [UInt8](repeating: 1, count: count).withUnsafeBytes { connection.send($0) }
        case .closeWrite: connection.closeWrite()
        case .close: connection.close()
        case .abort: connection.abort()
        case .pause: connection.pauseReceiving()
        case .resume: connection.resumeReceiving()
        case .bytes(let count):
            var bytes = [UInt8](repeating: 2, count: count)
            bytes.withUnsafeMutableBytes { connection.didReceive($0) }
        case .end: connection.didReceiveEnd()
        case .failure: connection.didFail(.connectionReset)
        case .room(let count):
            room = count
            flush(connection)
        case .refuseFIN: refusesFIN = true
        }
    }

    override func flush(_ connection: TCPConnection) {
        let count = min(room, connection.queuedBytes)
        guard count > 0 else { return }
        room -= count
        connection.didSend(count)
    }

    override func shutdownWrite(_ connection: TCPConnection) {
        log.append("FIN")
        if refusesFIN { connection.didFail(.connectionReset) }
    }

    override func detach(_ connection: TCPConnection, reset: Bool) {
        log.append(reset ? "RST" : "shut")
        connection.didDetach()
    }

    /// Logs its calls.
    private final class Listening: TCPConnectionDelegate {
        private let note: @ReactorActor (String) -> Void

        init(_ note: @escaping @ReactorActor (String) -> Void) { self.note = note }

        override func received(_ bytes: UnsafeMutableRawBufferPointer) { note("\(bytes.count) bytes") }
        override func peerClosedWrite() { note("peer's FIN") }
        override func drained() { note("drained") }
        override func closed(_ error: ReactorError?) { note(error.map { "closed: \($0)" } ?? "closed") }
    }
}
