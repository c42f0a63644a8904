import CShims
import Glibc

/// The driver for kernels and containers without io_uring: edge-triggered epoll, one receive buffer for all
/// connections, and a bound on the bytes of one connection in a turn.
final class EpollDriver: Driver {
    /// The size of the receive buffer that all connections share, in bytes.
    private static let receiveSize = 256 * 1024
    /// The most bytes that one connection receives, or sends, before the others get their turn.
    private static let fairShare = 1024 * 1024
    /// The most connections that one listener accepts before the others get their turn.
    private static let acceptShare = 64
    private static let eventsPerWait = 256
    private static let vectorsPerSend = 16

    /// The object of an event: the highest byte of its tag.
    private enum Kind: UInt64 {
        case wake = 1
        case listener
        case attempt
        case connection
    }

    private struct ListenerSlot {
        let listener: TCPListener
        let descriptor: Int32
        /// Whether it is in `ready`.
        var isReady = false
    }

    private struct ConnectionSlot {
        enum Reading {
            /// No bytes are wanted. Events are ignored, so the socket is read when bytes are wanted again.
            case off
            /// The next event reports new bytes.
            case waiting
            /// The socket is in `ready`: it may hold bytes without a further event.
            case ready
        }

        let connection: TCPConnection
        var reading = Reading.off
        /// Whether the kernel's send buffer has room, as far as is known.
        var isWritable = true
        /// Whether the kernel has reported the peer's end: even after a short read, reading goes on to the end of the
        /// stream.
        var isHungUp = false
    }

    private let poll: Int32
    private nonisolated let wakeDescriptor: Int32
    private nonisolated(unsafe) let events: UnsafeMutableBufferPointer<epoll_event>
    private nonisolated(unsafe) let vectors: UnsafeMutableBufferPointer<iovec>
    private nonisolated(unsafe) let buffer: UnsafeMutableRawBufferPointer
    private var listeners = SlotTable<ListenerSlot>()
    private var attempts = SlotTable<(attempt: ConnectAttempt, descriptor: Int32)>()
    private var connections = SlotTable<ConnectionSlot>()
    /// Tags of sockets to poll without waiting for an event. A tag whose slot is no longer ready is ignored.
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
        guard control(EPOLL_CTL_ADD, wakeDescriptor, EPOLLIN.rawValue, tag(.wake, 0)) else {
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

    private func tag(_ kind: Kind, _ slotTag: UInt64) -> UInt64 { kind.rawValue << 56 | slotTag }

    /// The wake descriptor stays open: other threads may wake a loop that has ended.
    override func shutdown() {
        for slot in listeners.slots { listeners[slot]?.listener.close() }
        for slot in attempts.slots {
            guard let attempt = attempts[slot]?.attempt else { continue }
            cancel(attempt)
            attempt.finish(.failure(.closed))
        }
        for slot in connections.slots {
            guard let connection = connections[slot]?.connection else { continue }
            detach(connection, reset: !connection.hasSentAll)
            connection.abandon()
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
        noteWaking()
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

    /// Whole milliseconds, rounded up: waking early would waste a turn.
    private func timeout(_ deadline: Duration?) -> Int32 {
        if !ready.isEmpty { return 0 }
        guard let deadline else { return -1 }
        let left = (deadline - now).nanoseconds
        guard left > 0 else { return 0 }
        return Int32(clamping: left / 1_000_000 + (left % 1_000_000 == 0 ? 0 : 1))
    }

    private func handle(_ tag: UInt64, _ mask: UInt32) {
        switch Kind(rawValue: tag >> 56) {
        case .wake:
            var count: UInt64 = 0
            _ = read(wakeDescriptor, &count, 8)
        case .listener: if let slot = listeners.slot(tag: tag) { accept(slot) }
        case .attempt: if let slot = attempts.slot(tag: tag) { finish(slot) }
        case .connection: if let slot = connections.slot(tag: tag) { handle(mask, on: slot) }
        case nil: break
        }
    }

    private func handle(_ mask: UInt32, on slot: Int) {
        guard var entry = connections[slot] else { return }
        let connection = entry.connection
        // Every event has this bit while there is room, even one for received bytes.
        if mask & EPOLLOUT.rawValue != 0 {
            if !entry.isWritable { connections[slot]?.isWritable = true }
            if connection.queuedBytes > 0 { connection.attendLater() }
        }
        if mask & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
            entry.isHungUp = true
            connections[slot]?.isHungUp = true
        }
        if mask & EPOLLERR.rawValue != 0, entry.reading == .off {
            let code = Socket.pendingError(connection.descriptor)
            if code != 0 { return connection.didFail(ReactorError("recv", code)) }
        }
        if mask & ~EPOLLOUT.rawValue != 0 { receive(slot, entry) }
    }

    private func lookAgain(_ tag: UInt64) {
        switch Kind(rawValue: tag >> 56) {
        case .listener:
            guard let slot = listeners.slot(tag: tag) else { return }
            listeners[slot]?.isReady = false
            accept(slot)
        case .connection:
            guard let slot = connections.slot(tag: tag), var entry = connections[slot],
                entry.reading == .ready
            else { return }
            entry.reading = .waiting
            connections[slot] = entry
            receive(slot, entry)
        case .attempt, .wake, nil: break
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

    override func listen(_ listener: TCPListener, passed descriptor: Int32) throws(ReactorError) {
        try Socket.adopt(descriptor, nonBlocking: true)
        try add(listener, descriptor)
    }

    private func add(_ listener: TCPListener, _ descriptor: Int32) throws(ReactorError) {
        let slot = listeners.add(ListenerSlot(listener: listener, descriptor: descriptor))
        listener.slot = slot
        let mask = EPOLLIN.rawValue | EPOLLET.rawValue
        guard control(EPOLL_CTL_ADD, descriptor, mask, tag(.listener, listeners.tag(slot))) else {
            let code = errno
            close(listener)
            throw ReactorError("epoll_ctl", code)
        }
    }

    override func resumeAccepting(_ listener: TCPListener) {
        if let slot = listener.slot { accept(slot) }
    }

    override func close(_ listener: TCPListener) {
        guard let slot = listener.slot, let entry = listeners.remove(slot) else { return }
        listener.slot = nil
        // Closing a descriptor does not end the watch on a socket that other processes share.
        if listener.isShared { _ = control(EPOLL_CTL_DEL, entry.descriptor, 0, 0) }
        Glibc.close(entry.descriptor)
    }

    private func accept(_ slot: Int) {
        guard let entry = listeners[slot] else { return }
        let listener = entry.listener
        for _ in 0..<Self.acceptShare {
            // The owner may close the listener when it gets a connection.
            guard listener.slot != nil else { return }
            let descriptor = apus_accept(entry.descriptor)
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
        guard listener.slot != nil, listeners[slot]?.isReady == false else { return }
        listeners[slot]?.isReady = true
        ready.append(tag(.listener, listeners.tag(slot)))
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
        let slot = attempts.add((attempt, descriptor))
        attempt.slot = slot
        let mask = EPOLLOUT.rawValue | EPOLLET.rawValue
        guard control(EPOLL_CTL_ADD, descriptor, mask, tag(.attempt, attempts.tag(slot))) else {
            let code = errno
            cancel(attempt)
            throw ReactorError("epoll_ctl", code)
        }
    }

    override func cancel(_ attempt: ConnectAttempt) {
        guard let slot = attempt.slot, let entry = attempts.remove(slot) else { return }
        attempt.slot = nil
        Glibc.close(entry.descriptor)
    }

    private func finish(_ slot: Int) {
        guard let (attempt, descriptor) = attempts.remove(slot) else { return }
        attempt.slot = nil
        _ = control(EPOLL_CTL_DEL, descriptor, 0, 0)
        connected(attempt, descriptor, code: Socket.pendingError(descriptor))
    }

    // MARK: Connections

    override func attach(_ connection: TCPConnection) {
        let slot = connections.add(ConnectionSlot(connection: connection))
        connection.slot = slot
        let mask = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
        if !control(EPOLL_CTL_ADD, connection.descriptor, mask, tag(.connection, connections.tag(slot))) {
            connection.didFail(ReactorError("epoll_ctl", errno))
        }
    }

    override func updateReceiving(_ connection: TCPConnection) {
        guard let slot = connection.slot, let reading = connections[slot]?.reading else { return }
        switch (reading, connection.wantsBytes) {
        // The event for bytes that came meanwhile was ignored.
        case (.off, true): noteReady(slot)
        case (.waiting, false), (.ready, false): connections[slot]?.reading = .off
        case (.off, false), (.waiting, true), (.ready, true): break
        }
    }

    private func noteReady(_ slot: Int) {
        guard connections[slot]?.reading != .ready else { return }
        connections[slot]?.reading = .ready
        ready.append(tag(.connection, connections.tag(slot)))
    }

    private func receive(_ slot: Int, _ entry: ConnectionSlot) {
        guard entry.reading != .off else { return }
        let connection = entry.connection
        var share = Self.fairShare
        while connection.wantsBytes {
            guard share > 0 else { return noteReady(slot) }
            let count = recv(connection.descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 {
                share -= count
                connection.didReceive(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
                // A short read: the kernel has no more bytes, and an event follows when it has.
                if count < buffer.count, !entry.isHungUp { return }
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
        // The remaining bytes cause no further event: the socket must be read when bytes are wanted again, even if that
        // is before `attend`.
        connections[slot]?.reading = .off
    }

    override func flush(_ connection: TCPConnection) {
        guard let slot = connection.slot, connections[slot]?.isWritable == true else { return }
        var share = Self.fairShare
        while connection.queuedBytes > 0 {
            guard share > 0 else { return connection.attendLater() }
            let (used, bytes) = connection.queue.describe(vectors, limit: share)
            var message = msghdr()
            message.msg_iov = vectors.baseAddress
            message.msg_iovlen = used
            let count = sendmsg(connection.descriptor, &message, Int32(MSG_NOSIGNAL))
            if count >= 0 {
                share -= count
                // A short write: the kernel's buffer is full, and an event follows when it has room.
                if count < bytes { connections[slot]?.isWritable = false }
                connection.didSend(count)
                if count < bytes { return }
            } else {
                switch errno {
                case EAGAIN:
                    connections[slot]?.isWritable = false
                    return
                case EINTR: continue
                default: return connection.didFail(ReactorError("sendmsg", errno))
                }
            }
        }
    }

    override func detach(_ connection: TCPConnection, reset: Bool) {
        guard let slot = connection.slot else { return }
        connections.remove(slot)
        connection.slot = nil
        if reset { Socket.setResetOnClose(connection.descriptor) }
        Glibc.close(connection.descriptor)
        connection.didDetach()
    }
}
