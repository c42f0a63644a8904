import Glibc

/// The process's log: a queue that never makes anybody wait, and a thread that writes what is in it to standard error
/// or to systemd's journal.
///
/// An event that finds the queue full, or that cannot be written (the reader of a pipe is gone, a disk is full), is
/// dropped and counted. The count is an event of its own as soon as writing works again. A reader that has stopped
/// reading holds up the thread and nothing else.
public final class LogWriter: LogSink {
    /// The most bytes that wait: some 5,000 lines. As many again may be with the thread.
    static let maximumBytes = 1 << 20
    /// The most events that wait. The shortest line has some 50 bytes, so bytes run out first except by design.
    static let maximumEvents = 16_384

    struct Queue {
        var batch = LogBatch()
        /// Whether the thread is writing an earlier batch.
        var isWriting = false
        /// Nothing is taken any more.
        var isFinished = false
        var dropped: UInt64 = 0
    }

    private let queue = Monitor(Queue())
    private let format: LogFormat

    /// Starts the thread. `descriptor` is not closed at the end, nor is its mode changed: other processes may have it
    /// too. From now on SIGPIPE and SIGXFSZ end neither the writing nor the process.
    ///
    /// Throws `system` if there can be no thread, or, for the journal, no socket.
    public static func start(
        _ format: LogFormat, to descriptor: Int32 = STDERR_FILENO
    ) throws(LogError) -> LogWriter {
        let output: LogOutput =
            switch format {
            case .text, .json: .lines(LineOutput(descriptor: descriptor))
            case .journal: .journal(try JournalOutput(path: JournalOutput.systemPath))
            }
        return try LogWriter(format, output)
    }

    init(_ format: LogFormat, _ output: consuming LogOutput) throws(LogError) {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        self.format = format
        let delivery = LogDelivery(format, output)
        let queue = queue
        try LogThread.start { Self.write(queue, delivery) }
    }

    deinit {
        queue.withLock { $0.isFinished = true }
        queue.signal()
    }

    /// Events dropped so far because the queue was full.
    public var dropped: UInt64 { queue.withLock { $0.dropped } }

    /// Queues an event. Never waits.
    public func write(_ event: LogEvent) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        format.append(event, to: &bytes)
        let isFirst = queue.withLock { queue in
            guard !queue.isFinished else { return false }
            guard queue.batch.ends.count < Self.maximumEvents,
                bytes.count <= Self.maximumBytes - queue.batch.bytes.count
            else {
                queue.batch.refused &+= 1
                queue.dropped &+= 1
                return false
            }
            queue.batch.append(bytes)
            return queue.batch.ends.count == 1
        }
        if isFirst { queue.signal() }
    }

    /// Takes no more events and waits until those taken are written, for `limit` at most: whoever reads the log may
    /// have stopped. False if some are not written by then.
    @discardableResult
    public func finish(within limit: Duration) -> Bool {
        queue.withLock { $0.isFinished = true }
        queue.signal()
        return isWritten(within: limit)
    }

    /// Waits until all events taken so far are written or lost.
    func isWritten(within limit: Duration) -> Bool {
        queue.wait(atMost: limit) { $0.batch.ends.isEmpty && !$0.isWriting ? true : nil } ?? false
    }

    /// What the thread does.
    private static func write(_ queue: Monitor<Queue>, _ delivery: consuming LogDelivery) {
        var delivery = delivery
        var batch = LogBatch()
        while true {
            let hasMore = queue.wait { queue -> Bool? in
                guard !queue.batch.ends.isEmpty else { return queue.isFinished ? false : nil }
                swap(&queue.batch, &batch)
                queue.isWriting = true
                return true
            }
            guard hasMore == true else { return }
            delivery.deliver(batch)
            batch.removeAll()
            queue.withLock { $0.isWriting = false }
            queue.signal()
        }
    }
}

/// Events as bytes, one after the other, in the order taken.
struct LogBatch {
    private(set) var bytes: [UInt8] = []
    /// Where each event ends.
    private(set) var ends: [Int] = []
    /// Events that came afterwards and found no room.
    var refused = 0

    mutating func append(_ event: [UInt8]) {
        bytes += event
        ends.append(bytes.count)
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        refused = 0
    }
}
