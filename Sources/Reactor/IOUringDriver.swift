import Bytes
import CShims
import Glibc

/// The driver for kernels with io_uring: one multishot accept a listener, one multishot receive a connection out of
/// buffers that all share, one send a connection at a time, and everything submitted together once a turn.
///
/// The kernel's requests refer to descriptors, chunks and buffers, so a socket that ends is first rid of its requests
/// and only then closed and released.
final class IOUringDriver: Driver {
    /// Submission entries; more requests in one turn are submitted in several goes.
    private nonisolated static let entries: UInt32 = 512
    /// Completion entries; beyond them the kernel keeps a list.
    private nonisolated static let completionEntries: UInt32 = 4096
    /// Receive buffers, a power of two: what can wait to be delivered in one turn, for all connections together.
    private nonisolated static let bufferCount: UInt32 = 64
    private nonisolated static let bufferSize: UInt32 = 64 * 1024
    /// Bytes of one send: enough to be worth the request, little enough that `drained` comes before the queue is empty.
    private static let sendSize = 1024 * 1024
    private static let completionsPerReap = 256
    /// Reaps in one wait, so that the loop's jobs and timers get their turn.
    private static let reapsPerWait = 16

    private enum Operation: UInt64 {
        case receive = 1
        case send
        case accept
        case connect
        case cancel
        case wake
    }

    private nonisolated(unsafe) let ring: OpaquePointer
    private nonisolated let wakeDescriptor: Int32
    private nonisolated(unsafe) let buffers: UnsafeMutableRawBufferPointer
    private nonisolated(unsafe) let completions: UnsafeMutableBufferPointer<apus_completion>
    private nonisolated(unsafe) let wakeCount: UnsafeMutablePointer<UInt64>
    private var isWakeArmed = false
    private var slots = SlotTable()
    private var idleSends: [SendRequest] = []
    /// Cancellations that the ring had no room for.
    private var owedCancels: [UInt64] = []

    /// Makes a ring for the calling thread, or throws why the kernel will not have it.
    init() throws(ReactorError) {
        let size = Int(Self.bufferCount * Self.bufferSize)
        buffers = .allocate(byteCount: size, alignment: 4096)
        var name = "io_uring"
        let wake = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wake >= 0 else {
            buffers.deallocate()
            throw ReactorError("eventfd", errno)
        }
        var code: Int32 = 0
        var made = Self.makeRing(deferred: true, buffers, &code)
        if made == nil {
            let reason = SystemErrorText.of(code)
            made = Self.makeRing(deferred: false, buffers, &code)
            name = "io_uring (without deferred task work: \(reason))"
        }
        guard let made else {
            buffers.deallocate()
            Glibc.close(wake)
            throw .driverUnavailable("io_uring refused: \(SystemErrorText.of(code))")
        }
        ring = made
        wakeDescriptor = wake
        completions = .allocate(capacity: Self.completionsPerReap)
        completions.initialize(repeating: apus_completion())
        wakeCount = .allocate(capacity: 1)
        wakeCount.initialize(to: 0)
        super.init(name: name)
    }

    deinit {
        completions.deallocate()
        wakeCount.deallocate()
        buffers.deallocate()
    }

    /// A ring that has shown that multishot receive into its buffers works.
    private nonisolated static func makeRing(
        deferred: Bool, _ buffers: UnsafeMutableRawBufferPointer, _ code: inout Int32
    ) -> OpaquePointer? {
        guard
            let ring = apus_uring_create(
                entries, completionEntries, deferred, buffers.baseAddress, bufferCount, bufferSize, &code)
        else { return nil }
        code = probe(ring)
        if code == 0 { return ring }
        apus_uring_destroy(ring)
        return nil
    }

    private nonisolated static func probe(_ ring: OpaquePointer) -> Int32 {
        var pair: (Int32, Int32) = (-1, -1)
        let made = withUnsafeMutableBytes(of: &pair) { pair in
            socketpair(
                AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0,
                pair.baseAddress?.assumingMemoryBound(to: Int32.self))
        }
        guard made == 0 else { return errno }
        var byte: UInt8 = 1
        let written = write(pair.1, &byte, 1)
        Glibc.close(pair.1)
        defer { Glibc.close(pair.0) }
        guard written == 1, apus_uring_receive(ring, pair.0, 1) else { return EIO }
        // One byte in a buffer, then the end, which ends the request.
        var completion = apus_completion()
        var received = false
        for _ in 0..<4 {
            let result = apus_uring_wait(ring, 1_000_000_000)
            guard result == 0 || result == -EINTR else { return -result }
            while apus_uring_reap(ring, &completion, 1) == 1 {
                if completion.result < 0 { return -completion.result }
                if completion.flags & apus_completion_has_buffer != 0 {
                    received = completion.result == 1
                    apus_uring_return_buffer(ring, UInt16(truncatingIfNeeded: completion.flags >> 16))
                }
                if completion.flags & apus_completion_has_more == 0 { return received ? 0 : EIO }
            }
        }
        return ETIMEDOUT
    }

    /// The wake descriptor stays open: other threads may wake a loop that has ended.
    override func shutdown() {
        apus_uring_destroy(ring)
        for slot in slots.indices {
            switch slots[slot] {
            case .free: break
            case .listener(let listener): Glibc.close(listener.socket.descriptor)
            case .attempt(let attempt):
                Glibc.close(attempt.socket.descriptor)
                attempt.finish(.failure(.closed))
            case .connection(let connection):
                if !connection.hasSentAll { Socket.setResetOnClose(connection.socket.descriptor) }
                Glibc.close(connection.socket.descriptor)
                connection.abandon()
            }
            slots.remove(slot)
        }
    }

    // MARK: Requests

    private func data(_ operation: Operation, _ slot: Int) -> UInt64 {
        operation.rawValue << 56 | slots.tag(slot)
    }

    private func cancel(_ operation: Operation, _ slot: Int) { cancel(data(operation, slot)) }

    private func cancel(_ target: UInt64) {
        if !apus_uring_cancel(ring, target, Operation.cancel.rawValue << 56) { owedCancels.append(target) }
    }

    override nonisolated func wake() {
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, 8)
    }

    override func wait(until deadline: Duration?) -> Bool {
        if !isWakeArmed {
            isWakeArmed = apus_uring_read(ring, wakeDescriptor, wakeCount, 8, Operation.wake.rawValue << 56)
        }
        if !owedCancels.isEmpty {
            let owed = owedCancels
            owedCancels = []
            for target in owed { cancel(target) }
        }
        let limit = deadline.map { max(($0 - now).nanoseconds, 0) } ?? -1
        let result = apus_uring_wait(ring, isWakeArmed && owedCancels.isEmpty ? limit : 0)
        switch result {
        case 0, -EINTR, -ETIME, -EAGAIN, -EBUSY: break
        // Nothing that a ring in order answers; rest a little rather than spin on it.
        default: usleep(1000)
        }
        for _ in 0..<Self.reapsPerWait {
            let count = Int(apus_uring_reap(ring, completions.baseAddress, UInt32(completions.count)))
            for index in 0..<count { handle(completions[index]) }
            if count < completions.count { break }
        }
        return true
    }

    private func handle(_ completion: apus_completion) {
        guard let operation = Operation(rawValue: completion.user_data >> 56) else { return }
        switch operation {
        case .cancel: return
        case .wake:
            isWakeArmed = false
            return
        case .receive, .send, .accept, .connect: break
        }
        guard let (slot, entry) = slots.entry(tag: completion.user_data & ~(0xFF << 56)) else { return }
        switch (operation, entry) {
        case (.receive, .connection(let connection)): received(connection, completion)
        case (.send, .connection(let connection)): sent(connection, completion.result)
        case (.accept, .listener(let listener)): accepted(listener, completion)
        case (.connect, .attempt(let attempt)):
            slots.remove(slot)
            connected(attempt, code: -min(completion.result, 0))
        default: break
        }
    }

    // MARK: Listening

    override func listen(_ listener: TCPListener, on address: SocketAddress) throws(ReactorError)
        -> SocketAddress
    {
        let (descriptor, local) = try Socket.listening(
            on: address, takesIPv4: listener.takesIPv4, nonBlocking: false)
        add(listener, descriptor)
        return local
    }

    override func listen(_ listener: TCPListener, descriptor: Int32) throws(ReactorError) {
        do throws(ReactorError) {
            try Socket.listening(descriptor, nonBlocking: false)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        add(listener, descriptor)
    }

    private func add(_ listener: TCPListener, _ descriptor: Int32) {
        listener.socket.descriptor = descriptor
        listener.socket.slot = slots.add(.listener(listener))
        resumeAccepting(listener)
    }

    override func resumeAccepting(_ listener: TCPListener) {
        guard !listener.socket.isReceiving, !listener.socket.isClosing else { return }
        if apus_uring_accept(ring, listener.socket.descriptor, data(.accept, listener.socket.slot)) {
            listener.socket.isReceiving = true
        } else {
            listener.didFail(.closed)
        }
    }

    override func close(_ listener: TCPListener) {
        guard !listener.socket.isClosing else { return }
        listener.socket.isClosing = true
        // Nobody may connect from here on, though the request still holds the socket.
        _ = Glibc.shutdown(listener.socket.descriptor, Int32(SHUT_RDWR))
        if listener.socket.isReceiving { cancel(.accept, listener.socket.slot) } else { release(listener) }
    }

    private func release(_ listener: TCPListener) {
        Glibc.close(listener.socket.descriptor)
        slots.remove(listener.socket.slot)
    }

    private func accepted(_ listener: TCPListener, _ completion: apus_completion) {
        let hasMore = completion.flags & apus_completion_has_more != 0
        if !hasMore { listener.socket.isReceiving = false }
        if completion.result >= 0 { accepted(completion.result, listener) }
        guard !hasMore else { return }
        if listener.socket.isClosing { return release(listener) }
        switch completion.result {
        case 0..., -EINTR, -ECONNABORTED, -EPROTO, -EPERM: resumeAccepting(listener)
        default: listener.didFail(ReactorError("accept", -completion.result))
        }
    }

    // MARK: Connecting

    override func connect(_ attempt: ConnectAttempt) throws(ReactorError) {
        let descriptor = try Socket.connecting(attempt, nonBlocking: false)
        attempt.socket.descriptor = descriptor
        attempt.socket.slot = slots.add(.attempt(attempt))
        let tag = data(.connect, attempt.socket.slot)
        if attempt.storage.withAddress({ apus_uring_connect(ring, descriptor, $0, $1, tag) }) { return }
        slots.remove(attempt.socket.slot)
        Glibc.close(descriptor)
        throw .system(operation: "io_uring", code: EBUSY)
    }

    override func cancel(_ attempt: ConnectAttempt) {
        guard !attempt.socket.isClosing else { return }
        attempt.socket.isClosing = true
        cancel(.connect, attempt.socket.slot)
    }

    // MARK: Connections

    override func attach(_ connection: TCPConnection) {
        connection.socket.slot = slots.add(.connection(connection))
    }

    override func updateReceiving(_ connection: TCPConnection) {
        guard !connection.socket.isClosing else { return }
        let wants = connection.wantsBytes
        if wants, !connection.socket.isReceiving {
            if apus_uring_receive(ring, connection.socket.descriptor, data(.receive, connection.socket.slot))
            {
                connection.socket.isReceiving = true
            } else {
                connection.attendLater()
            }
        } else if !wants, connection.socket.isReceiving, !connection.socket.isCancelling {
            connection.socket.isCancelling = true
            cancel(.receive, connection.socket.slot)
        }
    }

    private func received(_ connection: TCPConnection, _ completion: apus_completion) {
        let hasEnded = completion.flags & apus_completion_has_more == 0
        if hasEnded {
            connection.socket.isReceiving = false
            connection.socket.isCancelling = false
        }
        if completion.flags & apus_completion_has_buffer != 0 {
            let buffer = completion.flags >> 16
            if completion.result > 0, buffer < Self.bufferCount, !connection.socket.isClosing {
                let start = Int(buffer) * Int(Self.bufferSize)
                let count = min(Int(completion.result), Int(Self.bufferSize))
                connection.didReceive(UnsafeMutableRawBufferPointer(rebasing: buffers[start..<start + count]))
            }
            apus_uring_return_buffer(ring, UInt16(truncatingIfNeeded: buffer))
        }
        if connection.socket.isClosing { return releaseIfIdle(connection) }
        switch completion.result {
        case 1...: break
        case 0: return connection.didReceiveEnd()
        // Out of buffers, which are being given back as this turn goes; cancelled, perhaps wanted again by now.
        case -ENOBUFS, -ECANCELED, -EINTR, -EAGAIN: break
        default: return connection.didFail(ReactorError("recv", -completion.result))
        }
        if hasEnded { updateReceiving(connection) }
    }

    override func flush(_ connection: TCPConnection) {
        guard !connection.socket.isSending, !connection.socket.isClosing, connection.queuedBytes > 0 else {
            return
        }
        let request = idleSends.popLast() ?? SendRequest()
        request.fill(from: connection.queue, limit: Self.sendSize)
        if apus_uring_send(
            ring, connection.socket.descriptor, request.message, data(.send, connection.socket.slot))
        {
            connection.socket.isSending = true
            connection.sendRequest = request
        } else {
            idleSends.append(request)
            connection.attendLater()
        }
    }

    private func sent(_ connection: TCPConnection, _ result: Int32) {
        connection.socket.isSending = false
        if let request = connection.sendRequest {
            connection.sendRequest = nil
            idleSends.append(request)
        }
        if connection.socket.isClosing { return releaseIfIdle(connection) }
        switch result {
        case 0...:
            connection.didSend(Int(result))
            flush(connection)
        case -EINTR, -EAGAIN, -ECANCELED: flush(connection)
        default: connection.didFail(ReactorError("sendmsg", -result))
        }
    }

    override func shutdownWrite(_ connection: TCPConnection) {
        guard Glibc.shutdown(connection.socket.descriptor, Int32(SHUT_WR)) != 0 else { return }
        connection.didFail(ReactorError("shutdown", errno))
    }

    override func detach(_ connection: TCPConnection, reset: Bool) {
        guard !connection.socket.isClosing else { return }
        connection.socket.isClosing = true
        if reset { Socket.setResetOnClose(connection.socket.descriptor) }
        if connection.socket.isReceiving, !connection.socket.isCancelling {
            cancel(.receive, connection.socket.slot)
        }
        if connection.socket.isSending { cancel(.send, connection.socket.slot) }
        releaseIfIdle(connection)
    }

    private func releaseIfIdle(_ connection: TCPConnection) {
        guard !connection.socket.isReceiving, !connection.socket.isSending else { return }
        Glibc.close(connection.socket.descriptor)
        slots.remove(connection.socket.slot)
        connection.didDetach()
    }
}
