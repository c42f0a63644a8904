import Bytes
import Reactor

/// Bytes of a write that could not be sent at once.
enum PendingWrite {
    case none
    case array([UInt8])
    case shared(SharedBytes)

    var count: Int {
        switch self {
        case .none: 0
        case .array(let bytes): bytes.count
        case .shared(let bytes): bytes.count
        }
    }

    func withBytes<R>(from offset: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        switch self {
        case .none: body(UnsafeRawBufferPointer(start: nil, count: 0))
        case .array(let bytes):
            bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[offset...])) }
        case .shared(let bytes):
            bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[offset...])) }
        }
    }
}

extension Stream {
    /// Sends `bytes`; returns when all of them are on their way, having waited for the peer's window and for the
    /// connection's send queue. A cancelled write that has not finished resets the stream.
    public func write(_ bytes: [UInt8]) async throws(LibP2PError) {
        try beginWrite()
        defer { isWriting = false }
        let sent = bytes.withUnsafeBytes { connection.send(self, $0) }
        if sent < bytes.count { try await finishWrite(.array(bytes), from: sent) }
        bytesSent &+= bytes.count
    }

    /// Sends `bytes`, encrypted straight from where they lie; returns when all of them are on their way, having
    /// waited for the peer's window and for the connection's send queue. A cancelled write that has not finished
    /// resets the stream.
    public func write(_ bytes: SharedBytes) async throws(LibP2PError) {
        try beginWrite()
        defer { isWriting = false }
        let sent = bytes.withUnsafeBytes { connection.send(self, $0) }
        if sent < bytes.count { try await finishWrite(.shared(bytes), from: sent) }
        bytesSent &+= bytes.count
    }

    /// Bytes of the stream's writes that are on their way, and whether more wait for the peer to read.
    public var sendProgress: (bytes: Int, isBlocked: Bool) {
        (bytesSent &+ (writer.isWaiting ? pendingOffset : 0), writer.isWaiting)
    }

    private func beginWrite() throws(LibP2PError) {
        guard !isWriting else { throw .limitReached("one write at a time on a stream") }
        failIfLate()
        if let failure { throw failure }
        guard !writeClosed else { throw .streamClosed }
        isWriting = true
        sendPrefix()
    }

    /// Sends the offer of the stream's protocol if that has not been done. A new stream's window has room for it.
    func sendPrefix() {
        guard !prefix.isEmpty, failure == nil, !writeClosed else { return }
        let bytes = prefix
        prefix = []
        bytes.withUnsafeBytes { connection.sendFirst(self, $0) }
    }

    private func finishWrite(_ bytes: PendingWrite, from offset: Int) async throws(LibP2PError) {
        pending = bytes
        pendingOffset = offset
        connection.enterLine(self)
        let count = bytes.count
        while pendingOffset < count {
            if let failure { throw failure }
            guard await suspend(writer) else {
                if pendingOffset < count { abandon(.cancelled) }
                throw .cancelled
            }
        }
        pending = .none
    }

    /// Sends one frame of what waits. True when more could follow at once.
    func sendTurn() -> Bool {
        let count = pending.count
        guard failure == nil, pendingOffset < count else { return false }
        pendingOffset &+= pending.withBytes(from: pendingOffset) { connection.sendFrame(self, $0) }
        guard pendingOffset < count else {
            writer.resume()
            return false
        }
        return connection.sendWindow(self) > 0
    }
}
