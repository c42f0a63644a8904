/// What a recording says about each thread of a process, and the stacks that it found.
///
/// Either the stacks of running threads, each weighing one sample, or those of threads that left the processor, weighing
/// the microseconds until they came back.
struct Profile {
    /// What a thread did.
    struct Thread {
        var samples: UInt64 = 0
        /// How often it left the processor to wait, and because another thread took its place.
        var waits: UInt64 = 0
        var preemptions: UInt64 = 0
        /// Microseconds asleep, and ready but without a processor.
        var asleep: UInt64 = 0
        var ready: UInt64 = 0
    }

    private struct Absence {
        var frames: [PerfFrame]
        var time: UInt64
        var isPreempted = false
    }

    /// Whether the stacks are those of waiting threads.
    let isOffCPU: Bool
    private(set) var threads: [String: Thread] = [:]
    private(set) var stacks = StackTree()
    /// Threads that are off the processor, by their IDs.
    private var absent: [Int: Absence] = [:]

    init(isOffCPU: Bool) { self.isOffCPU = isOffCPU }

    mutating func add(_ event: PerfEvent) {
        switch event.kind {
        case .sample(let isSwitch):
            if isSwitch {
                absent[event.threadID] = Absence(frames: event.frames, time: event.time)
            } else {
                threads[event.thread, default: Thread()].samples += 1
                addStack(event.thread, nil, event.frames, weight: 1)
            }
        case .switchedOut(let isPreempted):
            if isPreempted {
                threads[event.thread, default: Thread()].preemptions += 1
            } else {
                threads[event.thread, default: Thread()].waits += 1
            }
            absent[event.threadID, default: Absence(frames: [], time: event.time)].isPreempted = isPreempted
        case .switchedIn: cameBack(event)
        }
    }

    private mutating func cameBack(_ event: PerfEvent) {
        guard let absence = absent.removeValue(forKey: event.threadID), event.time >= absence.time else {
            return
        }
        let time = event.time - absence.time
        if absence.isPreempted {
            threads[event.thread, default: Thread()].ready += time
        } else {
            threads[event.thread, default: Thread()].asleep += time
        }
        guard isOffCPU else { return }
        addStack(
            event.thread, absence.isPreempted ? "ready, without a processor" : "asleep", absence.frames,
            weight: time)
    }

    private mutating func addStack(
        _ thread: String, _ state: String?, _ frames: [PerfFrame], weight: UInt64
    ) {
        let outer = [thread] + (state.map { [$0] } ?? [])
        var functions = frames.reversed().filter { $0.name != "reabstraction thunk" }
        // Of how the kernel puts a thread to sleep, only the system call that did it says something.
        if isOffCPU { functions.removeAll { $0.origin == .kernel && !$0.name.contains("_sys_") } }
        stacks.add(outer.map { PerfFrame(name: $0, origin: .program) } + functions, weight: weight)
    }
}
