import Glibc

/// One attempt to connect: finished by the driver, the time limit or the task's cancellation, whichever comes first.
@ReactorActor
public final class ConnectAttempt {
    private enum State {
        case connecting
        /// The calling task awaits the outcome.
        case awaited(CheckedContinuation<Void, Never>)
        case finished(Result<TCPConnection, ReactorError>)
    }

    package let address: SocketAddress
    /// The address to connect from; nil leaves the choice to the kernel.
    package let source: SocketAddress?
    package let loop: EventLoop
    /// The attempt's place in the kernel driver's table, while the connect is under way.
    var slot: Int?
    /// The copy of the address that the kernel reads while the connect is under way.
    let storage: AddressStorage
    private var state = State.connecting
    private var limit: Timer?

    init(to address: SocketAddress, from source: SocketAddress?, loop: EventLoop) {
        self.address = address
        self.source = source
        storage = AddressStorage(address)
        self.loop = loop
    }

    func run(timeout: Duration) async throws(ReactorError) -> TCPConnection {
        let driver = loop.driver
        try driver.connect(self)
        limit = loop.timers.add(driver.now + timeout) { [weak self] in self?.giveUp(.timedOut) }
        await withTaskCancellationHandler {
            guard !isFinished else { return }
            await withCheckedContinuation { state = .awaited($0) }
        } onCancel: {
            loop.call { self.giveUp(.cancelled) }
        }
        guard case .finished(let outcome) = state else { throw .closed }
        return try outcome.get()
    }

    package var isFinished: Bool { if case .finished = state { true } else { false } }

    private func giveUp(_ error: ReactorError) {
        guard !isFinished else { return }
        loop.driver.cancel(self)
        finish(.failure(error))
    }

    /// Finishes the attempt. A driver calls this once it no longer refers to the attempt. Only the first call has an
    /// effect.
    package func finish(_ outcome: Result<TCPConnection, ReactorError>) {
        let former = state
        if case .finished = former { return }
        state = .finished(outcome)
        limit?.cancel()
        limit = nil
        if case .awaited(let task) = former { task.resume() }
    }
}

extension TCPConnection {
    /// Connects to `address`, from `source` (port 0: any free one) or from an address that the kernel chooses. Throws
    /// `.connectionRefused`, `.unreachable`, `.timedOut`, `.cancelled`, or another error of the kernel.
    public static func connect(
        to address: SocketAddress, from source: SocketAddress? = nil, timeout: Duration
    ) async throws(ReactorError) -> TCPConnection {
        guard let loop = EventLoop.current else { throw .closed }
        let attempt = ConnectAttempt(to: address, from: source, loop: loop)
        return try await attempt.run(timeout: timeout)
    }
}

/// A socket address in the kernel's form, at a fixed place in memory.
final class AddressStorage: @unchecked Sendable {
    private let bytes: UnsafeMutableRawBufferPointer

    init(_ address: SocketAddress) {
        bytes = address.withAddress { address, length in
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(length), alignment: 8)
            bytes.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(length)))
            return bytes
        }
    }

    deinit { bytes.deallocate() }

    /// Calls `body` with the pointer, which is valid as long as this object.
    func withAddress<R>(_ body: (UnsafePointer<sockaddr>?, socklen_t) -> R) -> R {
        body(
            bytes.baseAddress.map { UnsafePointer($0.assumingMemoryBound(to: sockaddr.self)) },
            socklen_t(bytes.count))
    }
}
