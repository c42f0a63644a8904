import Bytes
import CShims
import Glibc

/// The driver for kernels with io_uring: one multishot accept per listener, one multishot receive per connection into
/// shared buffers, one send per connection at a time, and one submission per turn.
///
/// Requests refer to descriptors, chunks and buffers. To close a socket, the driver cancels its requests, and closes
/// and releases it when the last of them has ended.
final class IOUringDriver: Driver {
    /// Submission entries; more requests in one turn are submitted in several batches.
    nonisolated static let entries: UInt32 = 512
    /// Completion entries; the kernel keeps the excess in a list.
    nonisolated static let completionEntries: UInt32 = 4096
    /// The number of receive buffers, a power of two. They hold what arrives on all connections in one turn.
    nonisolated static let bufferCount: UInt32 = 64
    nonisolated static let bufferSize: UInt32 = 64 * 1024
    /// The size of a send, in bytes: large enough to be worth the request, small enough that `drained` comes before the
    /// queue is empty.
    private static let sendSize = 1024 * 1024
    private static let completionsPerReap = 256
    /// The most reaps in one wait, so that the loop's jobs and timers get their turn.
    private static let reapsPerWait = 16

    private enum Operation: UInt64 {
        case receive = 1
        case send
        case accept
        case connect
        case cancel
        case wake
    }

    /// The state of a multishot request, which lasts until the kernel ends it or it is cancelled.
    private enum Multishot {
        case idle
        case armed
        /// Cancelled; its last completion has not come.
        case cancelling
    }

    private struct ListenerSlot {
        let listener: TCPListener
        let descriptor: Int32
        /// Cancelled only to close the listener.
        var accept = Multishot.idle
    }

    /// A detached connection has given up its slot number; its entry stays until neither request is under way.
    private struct ConnectionSlot {
        let connection: TCPConnection
        var receive = Multishot.idle
        /// The send under way.
        var send: SendRequest?
    }

    private nonisolated(unsafe) let ring: OpaquePointer
    private nonisolated let wakeDescriptor: Int32
    private nonisolated(unsafe) let buffers: UnsafeMutableRawBufferPointer
    private nonisolated(unsafe) let completions: UnsafeMutableBufferPointer<apus_completion>
    private nonisolated(unsafe) let wakeCount: UnsafeMutablePointer<UInt64>
    private var isWakeArmed = false
    private var listeners = SlotTable<ListenerSlot>()
    private var attempts = SlotTable<(attempt: ConnectAttempt, descriptor: Int32)>()
    private var connections = SlotTable<ConnectionSlot>()
    private var idleSends: [SendRequest] = []
    /// Cancellations that the ring had no room for.
    private var owedCancels: [UInt64] = []

    /// Creates a ring for the calling thread. Throws `.driverUnavailable` if the kernel refuses it.
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

    /// The wake descriptor stays open: other threads may wake a loop that has ended.
    override func shutdown() {
        apus_uring_destroy(ring)
        for slot in listeners.slots { release(listenerAt: slot) }
        for slot in attempts.slots {
            guard let (attempt, descriptor) = attempts.remove(slot) else { continue }
            Glibc.close(descriptor)
            attempt.finish(.failure(.closed))
        }
        for slot in connections.slots {
            guard let connection = connections.remove(slot)?.connection else { continue }
            if !connection.hasSentAll { Socket.setResetOnClose(connection.descriptor) }
            Glibc.close(connection.descriptor)
            connection.slot = nil
            connection.abandon()
        }
    }

    // MARK: Requests

    private func data(_ operation: Operation, _ slotTag: UInt64 = 0) -> UInt64 {
        operation.rawValue << 56 | slotTag
    }

    private func cancel(_ target: UInt64) {
        if !apus_uring_cancel(ring, target, data(.cancel)) { owedCancels.append(target) }
    }

    override nonisolated func wake() {
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, 8)
    }

    override func wait(until deadline: Duration?) -> Bool {
        if !isWakeArmed {
            isWakeArmed = apus_uring_read(ring, wakeDescriptor, wakeCount, 8, data(.wake))
        }
        if !owedCancels.isEmpty {
            let owed = owedCancels
            owedCancels = []
            for target in owed { cancel(target) }
        }
        let limit = deadline.map { max(($0 - now).nanoseconds, 0) } ?? -1
        let result = apus_uring_wait(ring, isWakeArmed && owedCancels.isEmpty ? limit : 0)
        noteWaking()
        switch result {
        case 0, -EINTR, -ETIME, -EAGAIN, -EBUSY: break
        // A working ring returns nothing else: pause rather than spin.
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
        let tag = completion.user_data
        switch Operation(rawValue: tag >> 56) {
        case .receive: if let slot = connections.slot(tag: tag) { received(slot, completion) }
        case .send: if let slot = connections.slot(tag: tag) { sent(slot, completion.result) }
        case .accept: if let slot = listeners.slot(tag: tag) { accepted(slot, completion) }
        case .connect:
            guard let slot = attempts.slot(tag: tag), let (attempt, descriptor) = attempts.remove(slot) else {
                return
            }
            attempt.slot = nil
            connected(attempt, descriptor, code: -min(completion.result, 0))
        case .wake: isWakeArmed = false
        case .cancel, nil: break
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

    override func listen(_ listener: TCPListener, passed descriptor: Int32) throws(ReactorError) {
        try Socket.adopt(descriptor, nonBlocking: false)
        add(listener, descriptor)
    }

    private func add(_ listener: TCPListener, _ descriptor: Int32) {
        listener.slot = listeners.add(ListenerSlot(listener: listener, descriptor: descriptor))
        resumeAccepting(listener)
    }

    override func resumeAccepting(_ listener: TCPListener) {
        guard let slot = listener.slot, let entry = listeners[slot], entry.accept == .idle else { return }
        if apus_uring_accept(ring, entry.descriptor, data(.accept, listeners.tag(slot))) {
            listeners[slot]?.accept = .armed
        } else {
            listener.didFail(.closed)
        }
    }

    override func close(_ listener: TCPListener) {
        guard let slot = listener.slot, let entry = listeners[slot] else { return }
        listener.slot = nil
        // No peer can connect from here on, although the request still holds the socket. A shared socket goes on to listen.
        if !listener.isShared { _ = Glibc.shutdown(entry.descriptor, Int32(SHUT_RDWR)) }
        guard entry.accept == .armed else { return release(listenerAt: slot) }
        listeners[slot]?.accept = .cancelling
        cancel(data(.accept, listeners.tag(slot)))
    }

    private func release(listenerAt slot: Int) {
        guard let entry = listeners.remove(slot) else { return }
        entry.listener.slot = nil
        Glibc.close(entry.descriptor)
    }

    private func accepted(_ slot: Int, _ completion: apus_completion) {
        guard let listener = listeners[slot]?.listener else { return }
        if completion.result >= 0 { accepted(completion.result, listener) }
        guard completion.flags & apus_completion_has_more == 0 else { return }
        if listeners[slot]?.accept == .cancelling { return release(listenerAt: slot) }
        listeners[slot]?.accept = .idle
        switch completion.result {
        case 0..., -EINTR, -ECONNABORTED, -EPROTO, -EPERM: resumeAccepting(listener)
        default: listener.didFail(ReactorError("accept", -completion.result))
        }
    }

    // MARK: Connecting

    override func connect(_ attempt: ConnectAttempt) throws(ReactorError) {
        let descriptor = try Socket.connecting(attempt, nonBlocking: false)
        let slot = attempts.add((attempt, descriptor))
        let tag = data(.connect, attempts.tag(slot))
        if attempt.storage.withAddress({ apus_uring_connect(ring, descriptor, $0, $1, tag) }) {
            attempt.slot = slot
            return
        }
        attempts.remove(slot)
        Glibc.close(descriptor)
        throw .system(operation: "io_uring", code: EBUSY)
    }

    override func cancel(_ attempt: ConnectAttempt) {
        guard let slot = attempt.slot else { return }
        cancel(data(.connect, attempts.tag(slot)))
    }

    // MARK: Connections

    override func attach(_ connection: TCPConnection) {
        connection.slot = connections.add(ConnectionSlot(connection: connection))
    }

    override func updateReceiving(_ connection: TCPConnection) {
        guard let slot = connection.slot, let receive = connections[slot]?.receive else { return }
        switch (receive, connection.wantsBytes) {
        case (.idle, true):
            if apus_uring_receive(ring, connection.descriptor, data(.receive, connections.tag(slot))) {
                connections[slot]?.receive = .armed
            } else {
                connection.attendLater()
            }
        case (.armed, false): cancelReceive(slot)
        case (.idle, false), (.armed, true), (.cancelling, _): break
        }
    }

    private func cancelReceive(_ slot: Int) {
        connections[slot]?.receive = .cancelling
        cancel(data(.receive, connections.tag(slot)))
    }

    private func received(_ slot: Int, _ completion: apus_completion) {
        guard let connection = connections[slot]?.connection else { return }
        let hasEnded = completion.flags & apus_completion_has_more == 0
        if hasEnded { connections[slot]?.receive = .idle }
        if completion.flags & apus_completion_has_buffer != 0 {
            let buffer = completion.flags >> 16
            if completion.result > 0, buffer < Self.bufferCount {
                let start = Int(buffer) * Int(Self.bufferSize)
                let count = min(Int(completion.result), Int(Self.bufferSize))
                connection.didReceive(UnsafeMutableRawBufferPointer(rebasing: buffers[start..<start + count]))
            }
            apus_uring_return_buffer(ring, UInt16(truncatingIfNeeded: buffer))
        }
        if connection.slot == nil { return releaseIfIdle(slot) }
        switch completion.result {
        case 1...: break
        case 0: return connection.didReceiveEnd()
        // Out of buffers, which this turn gives back; or cancelled, and perhaps wanted again by now.
        case -ENOBUFS, -ECANCELED, -EINTR, -EAGAIN: break
        default: return connection.didFail(ReactorError("recv", -completion.result))
        }
        if hasEnded { updateReceiving(connection) }
    }

    override func flush(_ connection: TCPConnection) {
        guard let slot = connection.slot, connections[slot]?.send == nil, connection.queuedBytes > 0 else {
            return
        }
        let request = idleSends.popLast() ?? SendRequest()
        request.fill(from: connection.queue, limit: Self.sendSize)
        let tag = data(.send, connections.tag(slot))
        if apus_uring_send(ring, connection.descriptor, request.message, tag) {
            connections[slot]?.send = request
        } else {
            idleSends.append(request)
            connection.attendLater()
        }
    }

    private func sent(_ slot: Int, _ result: Int32) {
        guard let entry = connections[slot], let request = entry.send else { return }
        connections[slot]?.send = nil
        idleSends.append(request)
        let connection = entry.connection
        if connection.slot == nil { return releaseIfIdle(slot) }
        switch result {
        case 0...:
            connection.didSend(Int(result))
            flush(connection)
        case -EINTR, -EAGAIN, -ECANCELED: flush(connection)
        default: connection.didFail(ReactorError("sendmsg", -result))
        }
    }

    override func detach(_ connection: TCPConnection, reset: Bool) {
        guard let slot = connection.slot, let entry = connections[slot] else { return }
        connection.slot = nil
        if reset { Socket.setResetOnClose(connection.descriptor) }
        if entry.receive == .armed { cancelReceive(slot) }
        if entry.send != nil { cancel(data(.send, connections.tag(slot))) }
        releaseIfIdle(slot)
    }

    /// Releases a detached connection once the kernel holds no request for it.
    private func releaseIfIdle(_ slot: Int) {
        guard let entry = connections[slot], entry.receive == .idle, entry.send == nil else { return }
        connections.remove(slot)
        Glibc.close(entry.connection.descriptor)
        entry.connection.didDetach()
    }
}
