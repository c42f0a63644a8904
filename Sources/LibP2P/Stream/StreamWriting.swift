import Bytes
import Reactor

extension Stream {
    /// Sends `bytes` and returns once all are in the connection's send queue. Suspends while the peer's window is used
    /// up or that queue is full. Cancelling an unfinished write resets the stream.
    public func write(_ bytes: [UInt8]) async throws(LibP2PError) {
        try beginWrite()
        defer { endWrite() }
        let sent = bytes.withUnsafeBytes { connection.send(self, $0) }
        if sent < bytes.count { try await finishWrite(PendingWrite(.array(bytes), sent: sent)) }
        bytesSent &+= bytes.count
        metrics?.sent.add(UInt64(bytes.count))
    }

    /// Sends `bytes` like the other `write`, and encrypts them without an intermediate copy.
    public func write(_ bytes: SharedBytes) async throws(LibP2PError) {
        try beginWrite()
        defer { endWrite() }
        let sent = bytes.withUnsafeBytes { connection.send(self, $0) }
        if sent < bytes.count { try await finishWrite(PendingWrite(.shared(bytes), sent: sent)) }
        bytesSent &+= bytes.count
        metrics?.sent.add(UInt64(bytes.count))
    }

    /// The number of bytes sent so far, and whether a write is blocked.
    public var sendProgress: (bytes: Int, isBlocked: Bool) {
        guard writerWait.isWaiting, case .blocked(let write) = sending else { return (bytesSent, false) }
        return (bytesSent &+ write.sent, true)
    }

    private func beginWrite() throws(LibP2PError) {
        switch sending {
        case .writing, .blocked: throw .limitReached("one write at a time on a stream")
        case .idle, .closed: break
        }
        failIfLate()
        if let failure { throw failure }
        guard case .idle = sending else { throw .streamClosed }
        sending = .writing
        sendOffer()
    }

    private func endWrite() {
        if case .closed = sending { return }
        sending = .idle
    }

    /// Sends the offer of the stream's protocol, unless it has been sent. A new stream's window has room for it.
    func sendOffer() {
        guard case .due(let dialer) = negotiation else { return }
        negotiation = .offered(dialer)
        dialer.start().withUnsafeBytes { connection.sendFirst(self, $0) }
    }

    private func finishWrite(_ write: PendingWrite) async throws(LibP2PError) {
        sending = .blocked(write)
        connection.enterLine(self)
        while case .blocked = sending {
            if let failure { throw failure }
            guard await suspend(writerWait) else {
                if case .blocked = sending { abandon(.cancelled) }
                throw .cancelled
            }
        }
    }

    var isBlocked: Bool { if case .blocked = sending { true } else { false } }

    /// Sends one frame of a blocked write. Returns true if another could follow at once.
    func sendTurn() -> Bool {
        guard failure == nil, case .blocked(var write) = sending else { return false }
        write.advance { connection.sendFrame(self, $0) }
        guard !write.isDone else {
            sending = .writing
            writerWait.resume()
            return false
        }
        sending = .blocked(write)
        return connection.sendWindow(self) > 0
    }
}

/// A write that could not be sent at once.
struct PendingWrite {
    enum Content {
        case array([UInt8])
        case shared(SharedBytes)
    }

    private let content: Content
    /// The number of bytes sent.
    private(set) var sent: Int
    private let count: Int

    init(_ content: Content, sent: Int) {
        self.content = content
        self.sent = sent
        count =
            switch content {
            case .array(let bytes): bytes.count
            case .shared(let bytes): bytes.count
            }
    }

    var isDone: Bool { sent >= count }

    /// Passes the rest to `send`, which sends some of it and returns the number of bytes.
    mutating func advance(_ send: (UnsafeRawBufferPointer) -> Int) {
        let start = sent
        let body = { (bytes: UnsafeRawBufferPointer) in
            send(UnsafeRawBufferPointer(rebasing: bytes[start...]))
        }
        switch content {
        case .array(let bytes): sent &+= bytes.withUnsafeBytes(body)
        case .shared(let bytes): sent &+= bytes.withUnsafeBytes(body)
        }
    }
}
