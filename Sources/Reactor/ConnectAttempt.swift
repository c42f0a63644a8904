import Glibc

/// One connection on its way: started, then finished by the driver, the time limit or the task's cancellation,
/// whichever comes first.
@ReactorActor
public final class ConnectAttempt {
    package let address: SocketAddress
    /// The address to connect from; nil leaves the choice to the kernel.
    package let source: SocketAddress?
    package let loop: EventLoop
    var socket = SocketState()
    /// The address where the kernel can read it while the connect is under way.
    let storage: AddressStorage
    private var outcome: Result<TCPConnection, ReactorError>?
    private var waiting: CheckedContinuation<Void, Never>?
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
            guard outcome == nil else { return }
            await withCheckedContinuation { waiting = $0 }
        } onCancel: {
            loop.call { self.giveUp(.cancelled) }
        }
        guard let outcome else { throw .closed }
        return try outcome.get()
    }

    package var isFinished: Bool { outcome != nil }

    private func giveUp(_ error: ReactorError) {
        guard outcome == nil else { return }
        loop.driver.cancel(self)
        finish(.failure(error))
    }

    /// From the driver, once: what became of it. The driver holds nothing of the attempt any more.
    package func finish(_ result: Result<TCPConnection, ReactorError>) {
        guard outcome == nil else { return }
        outcome = result
        limit?.cancel()
        limit = nil
        waiting?.resume()
        waiting = nil
    }
}

/// A kernel address at a fixed place.
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

    /// Hands out the pointer, valid for as long as this object.
    func withAddress<R>(_ body: (UnsafePointer<sockaddr>?, socklen_t) -> R) -> R {
        body(
            bytes.baseAddress.map { UnsafePointer($0.assumingMemoryBound(to: sockaddr.self)) },
            socklen_t(bytes.count))
    }
}
