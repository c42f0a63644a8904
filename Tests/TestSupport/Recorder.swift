import Reactor

/// A delegate that keeps what it is told, and lets a test wait for it.
@ReactorActor
package final class Recorder: TCPConnectionDelegate {
    package let connection: TCPConnection
    package private(set) var bytes: [UInt8] = []
    package private(set) var count = 0
    package private(set) var peerHasClosedWrite = false
    package private(set) var isClosed = false
    package private(set) var closeCount = 0
    package private(set) var error: ReactorError?
    package private(set) var drainedCount = 0
    /// Whether bytes are kept or only counted.
    package var keepsBytes = true
    package var onReceived: (@ReactorActor (UnsafeMutableRawBufferPointer) -> Void)?
    package var onDrained: (@ReactorActor () -> Void)?
    private var waiting: [(@ReactorActor () -> Bool, CheckedContinuation<Void, Never>)] = []

    package init(_ connection: TCPConnection) {
        self.connection = connection
        super.init()
        connection.delegate = self
    }

    override package func received(_ bytes: UnsafeMutableRawBufferPointer) {
        count += bytes.count
        if keepsBytes { self.bytes.append(contentsOf: bytes) }
        onReceived?(bytes)
        check()
    }

    override package func peerClosedWrite() {
        peerHasClosedWrite = true
        check()
    }

    override package func drained() {
        drainedCount += 1
        onDrained?()
        check()
    }

    override package func closed(_ error: ReactorError?) {
        isClosed = true
        closeCount += 1
        self.error = error
        check()
    }

    /// Waits until `condition` holds; it is looked at after each call.
    package func until(_ condition: @escaping @ReactorActor () -> Bool) async {
        if condition() { return }
        await withCheckedContinuation { waiting.append((condition, $0)) }
    }

    package func untilClosed() async { await until { [unowned self] in isClosed } }

    private func check() {
        let all = waiting
        waiting = []
        for (condition, continuation) in all {
            if condition() { continuation.resume() } else { waiting.append((condition, continuation)) }
        }
    }

    package func send(_ bytes: [UInt8]) { bytes.withUnsafeBytes { connection.send($0) } }
}

/// Hands over what comes later, one by one.
@ReactorActor
package final class Mailbox<Value> {
    private var values: [Value] = []
    private var waiting: CheckedContinuation<Void, Never>?

    package init() {}

    package func put(_ value: Value) {
        values.append(value)
        waiting?.resume()
        waiting = nil
    }

    package func take() async -> Value {
        while values.isEmpty { await withCheckedContinuation { waiting = $0 } }
        return values.removeFirst()
    }
}

/// A listener on a free loopback port that takes the accepted ends.
@ReactorActor
package final class Server {
    package let accepted = Mailbox<TCPConnection>()
    package private(set) var listener: TCPListener?

    package init(_ ip: String = "127.0.0.1", takesIPv4: Bool = false) throws {
        let address = try SocketAddress(ip: ip, port: 0)
        listener = try TCPListener.listen(on: address, takesIPv4: takesIPv4) { [accepted] in
            accepted.put($0)
        }
    }

    package var address: SocketAddress {
        get throws {
            guard let listener else { throw ReactorError.closed }
            return listener.localAddress
        }
    }

    /// Two connected ends, as recorders.
    package func connect() async throws -> (near: Recorder, far: Recorder) {
        let near = try await TCPConnection.connect(to: try address, timeout: .seconds(10))
        let far = await accepted.take()
        return (Recorder(near), Recorder(far))
    }

    package func close() { listener?.close() }
}
