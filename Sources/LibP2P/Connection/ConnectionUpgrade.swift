import Multiformats
import Reactor

/// Takes a TCP connection through the security handshake and the choice of a multiplexer, within a time limit.
///
/// Whatever goes wrong closes the connection and says nothing to the peer.
@ReactorActor
final class ConnectionUpgrade: TCPConnectionDelegate {
    /// How long this may take. The slowest honest handshake is a few round trips.
    nonisolated static let timeout: Duration = .seconds(10)

    typealias Completion = @ReactorActor (Result<SecurityUpgrade.Outcome, LibP2PError>) -> Void

    /// When the upgrade began.
    let startedAt: Duration
    /// The remote end's IPv4 address or IPv6 /64.
    let network: IPNetwork?
    private let tcp: TCPConnection
    private let machine: SecurityUpgrade
    private var completion: Completion?
    private var timer: Timer?

    /// Begins. `completion` is called once, not before this returns; with success it has to set the delegate anew.
    init(_ tcp: TCPConnection, _ machine: SecurityUpgrade, completion: @escaping Completion) {
        self.tcp = tcp
        self.machine = machine
        self.completion = completion
        startedAt = Reactor.now
        network = tcp.remoteAddress.network
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

    /// Gives up.
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

extension SocketAddress {
    /// What counts as one place in the network: an IPv4 address, or the /64 of an IPv6 address, which is what one
    /// customer has.
    var network: IPNetwork? { IP(ip).map { $0.network($0.isIPv6 ? 64 : 32) } }
}
