import Multiformats
import Reactor

/// Upgrades a TCP connection, with the security handshake and the choice of a multiplexer, within a time limit.
///
/// Any failure closes the connection without a message to the peer.
@ReactorActor
final class ConnectionUpgrade: TCPConnectionDelegate {
    /// The time limit. The slowest honest handshake takes a few round trips.
    nonisolated static let timeout: Duration = .seconds(10)

    typealias Completion = @ReactorActor (Result<SecurityUpgrade.Outcome, LibP2PError>) -> Void

    /// When the upgrade began.
    let startedAt: Duration
    /// The network of the remote end (`IP.place`).
    let network: IPNetwork
    private let tcp: TCPConnection
    private let machine: SecurityUpgrade
    private var completion: Completion?
    private var timer: Timer?

    /// Begins the upgrade. Calls `completion` once, after this returns; on success it must set a new delegate.
    init(_ tcp: TCPConnection, _ machine: SecurityUpgrade, completion: @escaping Completion) {
        self.tcp = tcp
        self.machine = machine
        self.completion = completion
        startedAt = Reactor.now
        network = tcp.remoteAddress.ip.place
        super.init()
        timer = Reactor.schedule(after: Self.timeout) { self.finish(.failure(.timedOut)) }
        tcp.delegate = self
        do {
            let opening = try machine.start()
            opening.withUnsafeBytes { tcp.send($0) }
        } catch {
            Reactor.enqueue { self.finish(.failure(error)) }
        }
    }

    /// Cancels the upgrade, which fails for `reason`.
    func cancel(_ reason: LibP2PError) {
        finish(.failure(reason))
    }

    override func received(_ bytes: UnsafeMutableRawBufferPointer) {
        guard completion != nil else { return }
        do {
            let step = try machine.receive(bytes)
            step.output.withUnsafeBytes { if !$0.isEmpty { tcp.send($0) } }
            if let outcome = step.outcome { finish(.success(outcome)) }
        } catch {
            finish(.failure(error))
        }
    }

    override func peerClosedWrite() {
        finish(.failure(.handshakeInterrupted))
    }

    override func closed(_ error: ReactorError?) {
        finish(.failure(error.map { .network($0.description) } ?? .handshakeInterrupted))
    }

    private func finish(_ result: Result<SecurityUpgrade.Outcome, LibP2PError>) {
        guard let completion else { return }
        self.completion = nil
        timer?.cancel()
        timer = nil
        if case .failure = result { tcp.close() }
        completion(result)
    }
}
