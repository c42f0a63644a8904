import Reactor

/// Connects to the first of several addresses of one peer to answer.
///
/// "Happy eyeballs" (RFC 8305): attempts start a quarter of a second apart, or as soon as one fails, alternating
/// between IPv6 and IPv4; the first connection wins and the other attempts are cancelled.
@ReactorActor
final class AddressRace {
    /// The time between the starts of two attempts.
    nonisolated static let stagger: Duration = .milliseconds(250)
    /// How long one attempt may take.
    nonisolated static let timeout: Duration = .seconds(10)

    private enum State {
        case running
        case won(TCPConnection)
        /// All addresses have failed, or the task was cancelled.
        case lost
    }

    private let addresses: [SocketAddress]
    private let source: SocketAddress?
    private var started = 0
    private var running: [Task<Void, Never>] = []
    private var ended = 0
    private var state = State.running
    private let progress = WaitQueue()
    /// The failures of attempts, in order.
    private(set) var failures: [(SocketAddress, ReactorError)] = []

    /// Creates a race that has not begun. `source` is the address to dial from; nil leaves the choice to the kernel.
    init(_ addresses: [SocketAddress], from source: SocketAddress?) {
        self.source = source
        self.addresses = Self.interleaved(addresses)
    }

    /// Runs the race. Returns nil if all addresses have failed or the task was cancelled.
    func run() async -> TCPConnection? {
        while case .running = state, ended < addresses.count {
            if started < addresses.count { start(addresses[started]) }
            _ = await progress.wait(limit: started < addresses.count ? Self.stagger : nil)
            if Task.isCancelled { break }
        }
        for task in running { task.cancel() }
        if case .won(let connection) = state { return connection }
        state = .lost
        return nil
    }

    private func start(_ address: SocketAddress) {
        started += 1
        running.append(
            Reactor.spawn {
                do throws(ReactorError) {
                    self.succeeded(
                        try await TCPConnection.connect(
                            to: address, from: self.source, timeout: Self.timeout))
                } catch {
                    self.failed(address, error)
                }
            })
    }

    private func succeeded(_ connection: TCPConnection) {
        ended += 1
        if case .running = state { state = .won(connection) } else { connection.abort() }
        progress.wakeAll()
    }

    private func failed(_ address: SocketAddress, _ error: ReactorError) {
        ended += 1
        if case .running = state { failures.append((address, error)) }
        progress.wakeAll()
    }

    /// Returns IPv6 and IPv4 addresses alternately, IPv6 first, each family in its order.
    nonisolated static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
        let six = addresses.filter(\.isIPv6)
        let four = addresses.filter { !$0.isIPv6 }
        var result: [SocketAddress] = []
        for index in 0..<max(six.count, four.count) {
            if index < six.count { result.append(six[index]) }
            if index < four.count { result.append(four[index]) }
        }
        return result
    }
}
