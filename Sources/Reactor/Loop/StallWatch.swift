import CShims

/// A callback that held an event loop for so long that it delayed others.
public struct Stall: Sendable {
    /// What the loop was doing.
    public enum Callback: Sendable {
        /// It reported what had happened to sockets: received bytes are decrypted and delivered by these calls.
        case events
        /// It sent what connections had queued.
        case sending
        /// It ran a job, a timer or a call: the addresses of the function and of those that await it, outwards.
        case functions([UInt])
    }

    /// What it was.
    public let callback: Callback
    /// How long it took.
    public let duration: Duration
    /// The time for which the thread had a processor, at most half a millisecond too long.
    public let processorTime: Duration
    /// Whether another thread took the processor away.
    public let wasPreempted: Bool

    /// Whether the loop's thread waited for a processor rather than for the callback.
    public var lackedProcessor: Bool { wasPreempted && processorTime < LoopMetrics.slow }
}

/// Finds the callback that takes longest in a turn of an event loop. Each costs one reading of the processor's clock, whose
/// unit follows from the length of the turn.
struct StallWatch {
    private enum Kind { case events, sending, calls }

    /// The work after which the thread's use is read again, which costs a system call.
    private static let usageInterval = Duration.microseconds(500)

    private var start: UInt64 = 0
    private var last: UInt64 = 0
    private var longest: UInt64 = 0
    private var kind = Kind.events
    private var calls = apus_job_calls()
    /// What the thread had used when it was last read, and the work since then.
    private var usage = apus_thread_usage()
    private var work = Duration.zero

    /// Starts a turn, which began when its driver stopped waiting. What the driver did since then is its first callback.
    mutating func begin(_ woke: UInt64) {
        start = woke
        last = apus_ticks()
        longest = last &- woke
        kind = .events
    }

    /// Notes that a job, timer or call has returned.
    @inline(__always)
    mutating func ran(_ calls: @autoclosure () -> apus_job_calls) {
        if isLongest() { (kind, self.calls) = (.calls, calls()) }
    }

    /// Notes that connections have sent.
    mutating func sent() { if isLongest() { kind = .sending } }

    @inline(__always)
    private mutating func isLongest() -> Bool {
        let now = apus_ticks()
        let took = now &- last
        last = now
        guard took > longest else { return false }
        longest = took
        return true
    }

    /// Ends a turn that took `turn`. Returns its longest callback if that was a stall.
    @inline(__always)
    mutating func end(_ turn: Duration) -> Stall? {
        work += turn
        return work < Self.usageInterval ? nil : measure(turn)
    }

    private mutating func measure(_ turn: Duration) -> Stall? {
        let before = usage
        usage = apus_usage_of_thread()
        work = .zero
        let duration = turn * min(Double(longest) / Double(max(last &- start, 1)), 1)
        guard duration > LoopMetrics.slow else { return nil }
        let callback: Stall.Callback =
            switch kind {
            case .events: .events
            case .sending: .sending
            case .calls: .functions(withUnsafeBytes(of: calls) { Array($0.bindMemory(to: UInt.self)) })
            }
        return Stall(
            callback: callback, duration: duration,
            processorTime: min(.microseconds(usage.microseconds - before.microseconds), duration),
            wasPreempted: usage.preemptions > before.preemptions)
    }
}

extension apus_job_calls {
    /// In a structure, unlike as a generic parameter, a function is what the compiler made of its declaration.
    private struct Call { let body: @ReactorActor () -> Void }
    private struct Start { let body: @ReactorActor @Sendable () async -> Void }

    /// The calls of a job that has not run yet.
    @inline(__always)
    init(of job: UnownedJob) { self = apus_calls_of_job(unsafeBitCast(job, to: UnsafeRawPointer.self)) }

    /// A call of the function at an address.
    @inline(__always)
    init(_ address: UInt) {
        self.init()
        functions.0 = address
    }

    /// A call of `body`, by the address of its code, which is the first word of the value.
    @inline(__always)
    init(_ body: @escaping @ReactorActor () -> Void) {
        self.init(withUnsafeBytes(of: Call(body: body)) { $0.load(as: UInt.self) })
    }

    /// A call of `body`, by the address of the description of its code.
    @inline(__always)
    init(start body: @escaping @ReactorActor @Sendable () async -> Void) {
        self.init(withUnsafeBytes(of: Start(body: body)) { $0.load(as: UInt.self) })
    }
}
