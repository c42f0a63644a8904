import Reactor

/// A delegate that keeps what it is told, and lets a test wait for it.
@ReactorActor
final class Recorder: TCPConnectionDelegate {
    let connection: TCPConnection
    private(set) var bytes: [UInt8] = []
    private(set) var count = 0
    private(set) var peerHasClosedWrite = false
    private(set) var isClosed = false
    private(set) var closeCount = 0
    private(set) var error: ReactorError?
    private(set) var drainedCount = 0
    /// Whether bytes are kept or only counted.
    var keepsBytes = true
    var onReceived: (@ReactorActor (UnsafeMutableRawBufferPointer) -> Void)?
    var onDrained: (@ReactorActor () -> Void)?
    private var waiting: [(@ReactorActor () -> Bool, CheckedContinuation<Void, Never>)] = []

    init(_ connection: TCPConnection) {
        self.connection = connection
        super.init()
        connection.delegate = self
    }

    override func received(_ bytes: UnsafeMutableRawBufferPointer) {
        count += bytes.count
        if keepsBytes { self.bytes.append(contentsOf: bytes) }
        onReceived?(bytes)
        check()
    }

    override func peerClosedWrite() {
        peerHasClosedWrite = true
        check()
    }

    override func drained() {
        drainedCount += 1
        onDrained?()
        check()
    }

    override func closed(_ error: ReactorError?) {
        isClosed = true
        closeCount += 1
        self.error = error
        check()
    }

    /// Waits until `condition` holds; it is looked at after each call.
    func until(_ condition: @escaping @ReactorActor () -> Bool) async {
        if condition() { return }
        await withCheckedContinuation { waiting.append((condition, $0)) }
    }

    func untilClosed() async { await until { [unowned self] in isClosed } }

    private func check() {
        let all = waiting
        waiting = []
        for (condition, continuation) in all {
            if condition() { continuation.resume() } else { waiting.append((condition, continuation)) }
        }
    }

    func send(_ bytes: [UInt8]) { bytes.withUnsafeBytes { connection.send($0) } }
}

/// Hands over what comes later, one by one.
@ReactorActor
final class Mailbox<Value> {
    private var values: [Value] = []
    private var waiting: CheckedContinuation<Void, Never>?

    func put(_ value: Value) {
        values.append(value)
        waiting?.resume()
        waiting = nil
    }

    func take() async -> Value {
        while values.isEmpty { await withCheckedContinuation { waiting = $0 } }
        return values.removeFirst()
    }
}

/// A listener on a free loopback port that takes the accepted ends.
@ReactorActor
final class Server {
    let accepted = Mailbox<TCPConnection>()
    private(set) var listener: TCPListener?

    init(_ ip: String = "127.0.0.1", takesIPv4: Bool = false) throws {
        let address = try SocketAddress(ip: ip, port: 0)
        listener = try TCPListener.listen(on: address, takesIPv4: takesIPv4) { [accepted] in
            accepted.put($0)
        }
    }

    var address: SocketAddress {
        get throws {
            guard let listener else { throw ReactorError.closed }
            return listener.localAddress
        }
    }

    /// Two connected ends, as recorders.
    func connect() async throws -> (near: Recorder, far: Recorder) {
        let near = try await TCPConnection.connect(to: try address, timeout: .seconds(10))
        let far = await accepted.take()
        return (Recorder(near), Recorder(far))
    }

    func close() { listener?.close() }
}
