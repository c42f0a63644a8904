/// One event of a recording of `perf record`.
struct PerfEvent: Equatable {
    /// What happened.
    enum Kind: Equatable {
        /// The thread was found running, or left the processor at a `sched:sched_switch` event: `frames` are its stack.
        case sample(isSwitch: Bool)
        /// The thread left the processor: because it waits, or because another thread took its place.
        case switchedOut(isPreempted: Bool)
        /// The thread got a processor again.
        case switchedIn
    }

    var kind: Kind
    /// The thread's name.
    var thread: String
    var threadID: Int
    /// Microseconds on the machine's monotonic clock.
    var time: UInt64
    /// The stack, the innermost function first.
    var frames: [PerfFrame] = []
}

/// A function on a stack.
struct PerfFrame: Hashable {
    /// Where the function's code comes from.
    enum Origin: Hashable {
        case kernel
        case program
        case library
    }

    var name: String
    var origin: Origin
}
