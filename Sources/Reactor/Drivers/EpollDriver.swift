import CShims
import Glibc

/// The driver for kernels and containers without io_uring: edge-triggered epoll, one receive buffer for all
/// connections, and a bound on what one connection gets in a turn.
final class EpollDriver: Driver {
    /// Bytes of the receive buffer that all connections share.
    private static let receiveSize = 256 * 1024
    /// Bytes that one connection may receive, or send, before it is the others' turn.
    private static let fairShare = 1024 * 1024
    /// Connections that one listener may accept before it is the others' turn.
    private static let acceptShare = 64
    private static let eventsPerWait = 256
    private static let vectorsPerSend = 16
    private static let wakeTag = UInt64.max

    private let poll: Int32
    private nonisolated let wakeDescriptor: Int32
    private nonisolated(unsafe) let events: UnsafeMutableBufferPointer<epoll_event>
    private nonisolated(unsafe) let vectors: UnsafeMutableBufferPointer<iovec>
    private nonisolated(unsafe) let buffer: UnsafeMutableRawBufferPointer
    private var slots = SlotTable()
    /// Slots to look at again without waiting for an event.
    private var ready: [UInt64] = []
    private var readyNow: [UInt64] = []

    init(named name: String) throws(ReactorError) {
        poll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard poll >= 0 else { throw ReactorError("epoll_create1", errno) }
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wakeDescriptor >= 0 else {
            let code = errno
            Glibc.close(poll)
            throw ReactorError("eventfd", code)
        }
        events = .allocate(capacity: Self.eventsPerWait)
        events.initialize(repeating: epoll_event())
        vectors = .allocate(capacity: Self.vectorsPerSend)
        vectors.initialize(repeating: iovec())
        buffer = .allocate(byteCount: Self.receiveSize, alignment: 4096)
        super.init(name: name)
        guard control(EPOLL_CTL_ADD, wakeDescriptor, EPOLLIN.rawValue, Self.wakeTag) else {
            throw ReactorError("epoll_ctl", errno)
        }
    }

    deinit {
        events.deallocate()
        vectors.deallocate()
        buffer.deallocate()
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ mask: UInt32, _ tag: UInt64) -> Bool {
        var event = epoll_event()
        apus_epoll_event_set(&event, mask, tag)
        return epoll_ctl(poll, operation, descriptor, &event) == 0
    }

    /// The wake descriptor stays open: other threads may wake a loop that has ended.
    override func shutdown() {
        for slot in slots.indices {
            switch slots[slot] {
            case .free: break
            case .listener(let listener): listener.close()
            case .attempt(let attempt):
                cancel(attempt)
                attempt.finish(.failure(.closed))
            case .connection(let connection):
                detach(connection, reset: !connection.hasSentAll)
                connection.abandon()
            }
        }
        Glibc.close(poll)
    }

    // MARK: Waiting

    override nonisolated func wake() {
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, 8)
    }

    override func wait(until deadline: Duration?) -> Bool {
        let count = epoll_wait(poll, events.baseAddress, Int32(events.count), timeout(deadline))
        if count > 0 {
            for index in 0..<Int(count) {
                withUnsafePointer(to: &events[index]) { event in
                    handle(apus_epoll_event_data(event), event.pointee.events)
                }
            }
        }
        guard !ready.isEmpty else { return true }
        swap(&ready, &readyNow)
        for tag in readyNow { lookAgain(tag) }
        readyNow.removeAll(keepingCapacity: true)
        return true
    }

    /// Whole milliseconds, rounded up: a loop that woke early would only turn in vain.
    private func timeout(_ deadline: Duration?) -> Int32 {
        if !ready.isEmpty { return 0 }
        guard let deadline else { return -1 }
        let left = (deadline - now).nanoseconds
        guard left > 0 else { return 0 }
        return Int32(clamping: left / 1_000_000 + (left % 1_000_000 == 0 ? 0 : 1))
    }

    private func handle(_ tag: UInt64, _ mask: UInt32) {
        if tag == Self.wakeTag {
            var count: UInt64 = 0
            _ = read(wakeDescriptor, &count, 8)
            return
        }
        guard let (_, entry) = slots.entry(tag: tag) else { return }
        switch entry {
        case .free: break
        case .listener(let listener): accept(listener)
        case .attempt(let attempt): finish(attempt)
        case .connection(let connection):
            if mask & EPOLLOUT.rawValue != 0 {
                connection.socket.isWritable = true
                if connection.queuedBytes > 0 { connection.attendLater() }
            }
            if mask & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
                connection.socket.isHungUp = true
            }
            if mask & EPOLLERR.rawValue != 0, !connection.socket.isReceiving {
                let code = Socket.pendingError(connection.socket.descriptor)
                if code != 0 { return connection.didFail(ReactorError("recv", code)) }
            }
            if mask & ~EPOLLOUT.rawValue != 0 { receive(connection) }
        }
    }

    private func lookAgain(_ tag: UInt64) {
        guard let (_, entry) = slots.entry(tag: tag) else { return }
        switch entry {
        case .listener(let listener):
            listener.socket.isReady = false
            accept(listener)
        case .connection(let connection):
            connection.socket.isReady = false
            receive(connection)
        case .free, .attempt: break
        }
    }

    // MARK: Listening

    override func listen(_ listener: TCPListener, on address: SocketAddress) throws(ReactorError)
        -> SocketAddress
    {
        let (descriptor, local) = try Socket.listening(
            on: address, takesIPv4: listener.takesIPv4, nonBlocking: true)
        try add(listener, descriptor)
        return local
    }

    override func listen(_ listener: TCPListener, descriptor: Int32) throws(ReactorError) {
        do throws(ReactorError) {
            try Socket.listening(descriptor, nonBlocking: true)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        try add(listener, descriptor)
    }

    private func add(_ listener: TCPListener, _ descriptor: Int32) throws(ReactorError) {
        listener.socket.descriptor = descriptor
        listener.socket.slot = slots.add(.listener(listener))
        guard
            control(
                EPOLL_CTL_ADD, descriptor, EPOLLIN.rawValue | EPOLLET.rawValue,
                slots.tag(listener.socket.slot))
        else {
            let code = errno
            close(listener)
            throw ReactorError("epoll_ctl", code)
        }
    }

    override func resumeAccepting(_ listener: TCPListener) { accept(listener) }

    override func close(_ listener: TCPListener) {
        guard listener.socket.slot >= 0 else { return }
        slots.remove(listener.socket.slot)
        listener.socket.slot = -1
        Glibc.close(listener.socket.descriptor)
    }

    private func accept(_ listener: TCPListener) {
        for _ in 0..<Self.acceptShare {
            guard listener.socket.slot >= 0 else { return }
            let descriptor = apus_accept(listener.socket.descriptor)
            if descriptor >= 0 {
                accepted(descriptor, listener)
                continue
            }
            switch errno {
            case EAGAIN: return
            case EINTR, ECONNABORTED, EPROTO, EPERM: continue
            default: return listener.didFail(ReactorError("accept", errno))
            }
        }
        if listener.socket.slot >= 0, !listener.socket.isReady {
            listener.socket.isReady = true
            ready.append(slots.tag(listener.socket.slot))
        }
    }

    // MARK: Connecting

    override func connect(_ attempt: ConnectAttempt) throws(ReactorError) {
        let descriptor = try Socket.connecting(attempt, nonBlocking: true)
        let result = attempt.address.withAddress { Glibc.connect(descriptor, $0, $1) }
        guard result == 0 || errno == EINPROGRESS || errno == EINTR else {
            let code = errno
            Glibc.close(descriptor)
            throw ReactorError("connect", code)
        }
        attempt.socket.descriptor = descriptor
        attempt.socket.slot = slots.add(.attempt(attempt))
        guard
            control(
                EPOLL_CTL_ADD, descriptor, EPOLLOUT.rawValue | EPOLLET.rawValue,
                slots.tag(attempt.socket.slot))
        else {
            let code = errno
            cancel(attempt)
            throw ReactorError("epoll_ctl", code)
        }
    }

    override func cancel(_ attempt: ConnectAttempt) {
        guard attempt.socket.slot >= 0 else { return }
        slots.remove(attempt.socket.slot)
        attempt.socket.slot = -1
        Glibc.close(attempt.socket.descriptor)
    }

    private func finish(_ attempt: ConnectAttempt) {
        slots.remove(attempt.socket.slot)
        attempt.socket.slot = -1
        _ = control(EPOLL_CTL_DEL, attempt.socket.descriptor, 0, 0)
        connected(attempt, code: Socket.pendingError(attempt.socket.descriptor))
    }

    // MARK: Connections

    override func attach(_ connection: TCPConnection) {
        connection.socket.isWritable = true
        connection.socket.slot = slots.add(.connection(connection))
        let mask = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
        if !control(EPOLL_CTL_ADD, connection.socket.descriptor, mask, slots.tag(connection.socket.slot)) {
            connection.didFail(ReactorError("epoll_ctl", errno))
        }
    }

    override func updateReceiving(_ connection: TCPConnection) {
        let wants = connection.wantsBytes
        guard wants != connection.socket.isReceiving else { return }
        connection.socket.isReceiving = wants
        // The event for what came meanwhile has passed.
        if wants { noteReady(connection) }
    }

    private func noteReady(_ connection: TCPConnection) {
        guard !connection.socket.isReady, connection.socket.slot >= 0 else { return }
        connection.socket.isReady = true
        ready.append(slots.tag(connection.socket.slot))
    }

    private func receive(_ connection: TCPConnection) {
        var share = Self.fairShare
        while connection.socket.isReceiving, connection.socket.slot >= 0, connection.wantsBytes {
            guard share > 0 else { return noteReady(connection) }
            let count = recv(connection.socket.descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 {
                share -= count
                connection.didReceive(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
                // Less than asked for: the kernel has no more, and will say when it has.
                if count < buffer.count, !connection.socket.isHungUp { return }
            } else if count == 0 {
                return connection.didReceiveEnd()
            } else {
                switch errno {
                case EAGAIN: return
                case EINTR: continue
                default: return connection.didFail(ReactorError("recv", errno))
                }
            }
        }
        // What is left makes no event any more: the socket must be looked at when bytes are wanted again, also if that
        // is before the connection's attention.
        connection.socket.isReceiving = false
    }

    override func flush(_ connection: TCPConnection) {
        var share = Self.fairShare
        while connection.socket.isWritable, connection.socket.slot >= 0, connection.queuedBytes > 0 {
            guard share > 0 else { return connection.attendLater() }
            let (used, bytes) = connection.queue.describe(vectors, limit: share)
            var message = msghdr()
            message.msg_iov = vectors.baseAddress
            message.msg_iovlen = used
            let count = sendmsg(connection.socket.descriptor, &message, Int32(MSG_NOSIGNAL))
            if count >= 0 {
                share -= count
                // Less than asked for: the kernel's buffer is full, and it will say when it is not.
                if count < bytes { connection.socket.isWritable = false }
                connection.didSend(count)
            } else {
                switch errno {
                case EAGAIN: connection.socket.isWritable = false
                case EINTR: continue
                default: return connection.didFail(ReactorError("sendmsg", errno))
                }
            }
        }
    }

    override func shutdownWrite(_ connection: TCPConnection) {
        guard Glibc.shutdown(connection.socket.descriptor, Int32(SHUT_WR)) != 0 else { return }
        connection.didFail(ReactorError("shutdown", errno))
    }

    override func detach(_ connection: TCPConnection, reset: Bool) {
        guard connection.socket.slot >= 0 else { return }
        slots.remove(connection.socket.slot)
        connection.socket.slot = -1
        if reset { Socket.setResetOnClose(connection.socket.descriptor) }
        Glibc.close(connection.socket.descriptor)
        connection.didDetach()
    }
}
