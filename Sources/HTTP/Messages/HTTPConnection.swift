import Bytes
import Reactor

/// Turns the bytes of a connection into messages for a task that reads them one after another: the part that
/// server and client share.
///
/// While no task waits for a message, it buffers a small backlog and then pauses receiving.
@ReactorActor
class HTTPConnection: TCPConnectionDelegate {
    /// The size of the backlog at which receiving pauses, in bytes: a few pipelined requests.
    nonisolated static let backlogLimit = 16 * 1024

    /// What happens to bytes behind the current message.
    private enum Intake {
        /// They are buffered.
        case open
        /// The backlog is full, and receiving is paused.
        case paused
        /// They are discarded.
        case dropping
    }

    /// The state of the peer's side.
    private enum Peer {
        case open
        /// It has sent its last byte.
        case ended
        /// The connection is closed.
        case closed
    }

    let tcp: TCPConnection
    let parser: HTTPParser
    /// The reason reading has ended.
    private(set) var failure: HTTPError?
    private var peer = Peer.open
    private var intake = Intake.open

    private var backlog: [UInt8] = []
    /// The number of bytes of the backlog already parsed.
    private var backlogStart = 0
    /// The parser state for which the task waits; nil while none waits.
    private var goal: HTTPParser.State?
    private var waiting: UnsafeContinuation<Void, Never>?

    init(_ tcp: TCPConnection, _ parser: HTTPParser) {
        self.tcp = tcp
        self.parser = parser
    }

    /// Whether the peer has closed its side.
    var hasPeerEnded: Bool { peer != .open }
    /// Whether the connection is closed.
    var isClosed: Bool { peer == .closed }

    /// The size of the messages held in memory, in bytes.
    var heldBytes: Int { parser.body.count + backlog.count }

    // MARK: The task's side

    /// Waits for the header of the next message. Returns false if the connection ended cleanly before it.
    func receiveHeader() async throws(HTTPError) -> Bool { try await receive(.body) }

    /// Waits for the rest of the message.
    func receiveBody() async throws(HTTPError) {
        guard try await receive(.complete) else { throw .truncated }
    }

    private func receive(_ goal: HTTPParser.State) async throws(HTTPError) -> Bool {
        self.goal = goal
        defer { self.goal = nil }
        takeBacklog()
        while true {
            if let failure { throw failure }
            if parser.state >= goal { return true }
            if hasPeerEnded {
                guard parser.hasBegun else { return false }
                try parser.end()
                return true
            }
            await suspend()
        }
    }

    /// Waits until the send queue is below its high-water mark, or the connection has ended.
    func drain() async {
        while tcp.isAboveHighWater, !isClosed, failure == nil { await suspend() }
    }

    /// Waits until the connection is closed.
    func untilClosed() async {
        while !isClosed { await suspend() }
    }

    private func suspend() async {
        await withUnsafeContinuation { waiting = $0 }
    }

    /// Wakes the waiting task, which checks the state again.
    func resume() {
        guard let waiting else { return }
        self.waiting = nil
        waiting.resume()
    }

    /// Discards further input.
    func dropRest() {
        clearBacklog()
        parser.dropBody()
        if intake == .paused { tcp.resumeReceiving() }
        intake = .dropping
    }

    /// Ends reading for `reason`.
    func fail(_ reason: HTTPError) {
        if failure == nil { failure = reason }
        resume()
    }

    // MARK: The connection's side

    override func received(_ bytes: UnsafeMutableRawBufferPointer) {
        guard intake != .dropping, failure == nil else { return }
        var rest = UnsafeRawBufferPointer(bytes)
        if goal != nil, backlog.isEmpty { rest = parse(rest) }
        if !rest.isEmpty { keep(rest) }
    }

    override func peerClosedWrite() {
        peer = .ended
        resume()
    }

    override func drained() { resume() }

    override func closed(_ error: ReactorError?) {
        peer = .closed
        if let error, failure == nil { failure = .connection(error) }
        clearBacklog()
        resume()
    }

    /// Parses bytes up to the end of the message. Returns the rest.
    private func parse(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        do throws(HTTPError) {
            let used = try parser.parse(bytes)
            if let goal, parser.state >= goal { resume() }
            return bytes.part(used..<bytes.count)
        } catch {
            fail(error)
            return bytes.part(bytes.count..<bytes.count)
        }
    }

    private func clearBacklog() {
        backlog.removeAll(keepingCapacity: backlog.count <= Self.backlogLimit)
        backlogStart = 0
    }

    private func keep(_ bytes: UnsafeRawBufferPointer) {
        if backlogStart > Self.backlogLimit {
            backlog.removeFirst(backlogStart)
            backlogStart = 0
        }
        backlog.append(contentsOf: bytes)
        guard backlog.count > Self.backlogLimit, intake == .open else { return }
        intake = .paused
        tcp.pauseReceiving()
    }

    private func takeBacklog() {
        guard !backlog.isEmpty, failure == nil, parser.state != .complete else { return }
        backlogStart = backlog.withUnsafeBytes { bytes in
            bytes.count - parse(bytes.part(backlogStart..<bytes.count)).count
        }
        if backlogStart == backlog.count { clearBacklog() }
        guard intake == .paused, backlog.count - backlogStart <= Self.backlogLimit else { return }
        intake = .open
        tcp.resumeReceiving()
    }
}
