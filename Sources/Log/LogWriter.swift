import Glibc

/// The process's log: a queue that never blocks its callers, and a thread that writes the queued events to
/// standard error or to systemd's journal.
///
/// An event is dropped and counted if the queue is full or the event cannot be written: the reader of a pipe
/// is gone, or a disk is full. The count is logged as an event once writing works again. A stalled reader
/// blocks only the log's thread. Events that others can cause without bound are limited (`LogLimiter`).
public final class LogWriter: LogSink {
    /// The maximum size of the queue, in bytes: some 5,000 lines. The thread may hold as many again.
    static let maximumBytes = 1 << 20
    /// The maximum number of queued events. The shortest line has some 50 bytes, so the byte limit normally
    /// applies first.
    static let maximumEvents = 16_384

    struct Queue {
        var batch = LogBatch()
        var limiter = LogLimiter()
        /// Whether the thread is writing an earlier batch.
        var isWriting = false
        /// Whether the log accepts no more events.
        var isFinished = false
        var dropped: UInt64 = 0
    }

    private let queue = Monitor(Queue())
    private let format: LogFormat

    /// Starts the thread. The log neither closes `descriptor` at the end nor changes its mode, because other
    /// processes may share it. From now on SIGPIPE and SIGXFSZ are ignored and do not end the process.
    ///
    /// Throws `system` if the thread or, for the journal, the socket cannot be created.
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

    /// The number of events dropped so far because the queue was full.
    public var dropped: UInt64 { queue.withLock { $0.dropped } }

    /// Queues an event, unless too many like it have come. Never blocks.
    public func write(_ event: LogEvent) {
        let now = Self.now
        let (isAdmitted, reports) = queue.withLock { queue in
            (queue.limiter.admits(event, now: now), queue.limiter.reports(now: now))
        }
        reports.forEach(report)
        if isAdmitted { enqueue(event) }
    }

    private func report(_ suppressed: LogFields) {
        enqueue(
            LogEvent(
                time: .now, level: .warning, source: "log", message: "log events were suppressed",
                fields: suppressed))
    }

    private static var now: Duration {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    private func enqueue(_ event: LogEvent) {
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

    /// Accepts no more events and waits up to `limit` for the accepted ones to be written: the log's reader
    /// may have stopped. Returns false if some are not written in time.
    @discardableResult
    public func finish(within limit: Duration) -> Bool {
        queue.withLock { $0.limiter.reports(now: nil) }.forEach(report)
        queue.withLock { $0.isFinished = true }
        queue.signal()
        return isWritten(within: limit)
    }

    /// Waits until all accepted events are written or lost.
    func isWritten(within limit: Duration) -> Bool {
        queue.wait(atMost: limit) { $0.batch.ends.isEmpty && !$0.isWriting ? true : nil } ?? false
    }

    /// Runs on the log's thread.
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

/// Encoded events, in the order accepted.
struct LogBatch {
    private(set) var bytes: [UInt8] = []
    /// The end offset of each event.
    private(set) var ends: [Int] = []
    /// The number of later events that found no room.
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
