import Bytes
import Reactor

/// The bytes of one connection as messages, for a task that reads them one after another: what the server's side and
/// the client's have in common.
///
/// While nobody waits for a message, a little of what comes is kept, and then the peer is held back.
@ReactorActor
class HTTPConnection: TCPConnectionDelegate {
    /// Bytes kept behind the present message before receiving pauses: some pipelined requests.
    nonisolated static let backlogLimit = 16 * 1024

    /// What becomes of bytes behind the present message.
    private enum Intake {
        /// They are kept.
        case open
        /// As many as may be are kept: receiving is paused.
        case paused
        /// They are dropped.
        case dropping
    }

    /// How far the peer's side has come to its end.
    private enum Peer {
        case open
        /// It sends no more.
        case ended
        /// The connection is over.
        case closed
    }

    let tcp: TCPConnection
    let parser: HTTPParser
    /// Why nothing more is read.
    private(set) var failure: HTTPError?
    private var peer = Peer.open
    private var intake = Intake.open

    private var backlog: [UInt8] = []
    /// Bytes of it that have been parsed.
    private var backlogStart = 0
    /// How far the message is to come before the task that waits goes on; nil while none waits for one.
    private var goal: HTTPParser.State?
    private var waiting: UnsafeContinuation<Void, Never>?

    init(_ tcp: TCPConnection, _ parser: HTTPParser) {
        self.tcp = tcp
        self.parser = parser
    }

    /// Whether the peer has ended its side.
    var hasPeerEnded: Bool { peer != .open }
    /// Whether the connection is over.
    var isClosed: Bool { peer == .closed }

    /// Bytes of messages held in memory.
    var heldBytes: Int { parser.body.count + backlog.count }

    // MARK: The task's side

    /// Waits for the header of the next message. False when the connection ended in order before it.
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

    /// Waits until the peer has taken most of what is queued for it, if that is much; or until the connection is over.
    func drain() async {
        while tcp.isAboveHighWater, !isClosed, failure == nil { await suspend() }
    }

    /// Waits until the connection is over.
    func untilClosed() async {
        while !isClosed { await suspend() }
    }

    private func suspend() async {
        await withUnsafeContinuation { waiting = $0 }
    }

    /// Lets the task that waits look again.
    func resume() {
        guard let waiting else { return }
        self.waiting = nil
        waiting.resume()
    }

    /// Drops what still comes.
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

    /// Gives bytes to the parser, up to the end of the message; returns the rest.
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
