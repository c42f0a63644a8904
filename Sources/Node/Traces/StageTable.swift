/// The times of stages for a fixed number of places, and the histograms of how long stages take. Noting a stage neither
/// allocates nor locks.
struct StageTable<Stage: TraceStage> {
    /// The mark of a stage that has not been passed.
    private static var never: Int64 { -1 }

    private var times: [Int64]
    /// The numbers of each stage's predecessors, as bits.
    private let predecessors: [UInt16]
    /// The numbers of the stages that each stage precedes, as bits.
    private let successors: [UInt16]
    private let stageCount = Stage.allCases.count
    let histograms: StageHistograms<Stage>

    /// Creates a table of empty places.
    init(places: Int, _ histograms: StageHistograms<Stage>) {
        times = Array(repeating: Self.never, count: places * Stage.allCases.count)
        predecessors = Stage.allCases.map { Self.bits($0.predecessors) }
        successors = Stage.allCases.map { stage in
            Self.bits(Stage.allCases.filter { $0.predecessors.contains(stage) })
        }
        self.histograms = histograms
    }

    private static func bits(_ stages: [Stage]) -> UInt16 {
        stages.reduce(0) { $0 | 1 << UInt16($1.rawValue) }
    }

    /// Forgets the stages of a place.
    mutating func clear(_ place: Int) {
        for index in 0..<stageCount { times[place * stageCount + index] = Self.never }
    }

    /// Notes that a stage was passed at `time`, unless it was noted before, and records how long it took. A worker's stage
    /// may be noted after one that followed from it on the reactor, which it then completes. Returns false if it was noted
    /// before.
    @discardableResult
    mutating func note(_ stage: Stage, at time: Duration, in place: Int) -> Bool {
        let (first, now) = (place * stageCount, time.nanoseconds)
        guard times[first + stage.rawValue] == Self.never else { return false }
        times[first + stage.rawValue] = now
        if let begin = beginning(of: stage.rawValue, at: now, first) {
            histograms.record(stage.rawValue, nanoseconds: now - begin)
        }
        var rest = successors[stage.rawValue]
        while rest != 0 {
            let next = rest.trailingZeroBitCount
            rest &= rest &- 1
            let end = times[first + next]
            guard end != Self.never, end >= now, isAlone(stage, before: next, first) else { continue }
            histograms.record(next, nanoseconds: end - now)
        }
        return true
    }

    /// The latest predecessor's time up to `end`.
    private func beginning(of stage: Int, at end: Int64, _ first: Int) -> Int64? {
        var rest = predecessors[stage]
        var begin = Self.never
        while rest != 0 {
            let before = times[first + rest.trailingZeroBitCount]
            if before <= end { begin = max(begin, before) }
            rest &= rest &- 1
        }
        return begin == Self.never ? nil : begin
    }

    /// Whether no other predecessor of the stage `next` has been noted, so that its duration is not recorded yet.
    private func isAlone(_ stage: Stage, before next: Int, _ first: Int) -> Bool {
        var rest = predecessors[next] & ~(1 << UInt16(stage.rawValue))
        while rest != 0 {
            if times[first + rest.trailingZeroBitCount] != Self.never { return false }
            rest &= rest &- 1
        }
        return true
    }

    /// Returns when a stage was passed.
    func time(of stage: Stage, in place: Int) -> Duration? {
        let time = times[place * stageCount + stage.rawValue]
        return time == Self.never ? nil : .nanoseconds(time)
    }

    /// Returns when the first of all stages was passed.
    func earliest(in place: Int) -> Duration? {
        let first = place * stageCount
        var earliest = Int64.max
        for time in times[first..<first + stageCount] where time != Self.never {
            earliest = min(earliest, time)
        }
        return earliest == .max ? nil : .nanoseconds(earliest)
    }

    /// Returns the stages that were passed, in order of time.
    func stages(in place: Int) -> [StageTime<Stage>] {
        Stage.allCases.compactMap { stage in
            time(of: stage, in: place).map { StageTime(stage, at: $0) }
        }.sorted { ($0.time, $0.stage.rawValue) < ($1.time, $1.stage.rawValue) }
    }
}

/// A stage and when it was passed.
public struct StageTime<Stage: TraceStage>: Hashable, Sendable {
    /// The stage.
    public let stage: Stage
    /// When it was passed, by the clock of the node's loop.
    public let time: Duration

    /// A stage passed at `time`.
    public init(_ stage: Stage, at time: Duration) {
        self.stage = stage
        self.time = time
    }
}

extension Array {
    /// Returns when what ended with the stage at `index` began: at the latest of its predecessors before it, if there is one.
    /// The elements are in order of time.
    public func beginning<Stage>(of index: Int) -> Duration? where Element == StageTime<Stage> {
        let predecessors = self[index].stage.predecessors
        return self[..<index].last { predecessors.contains($0.stage) }?.time
    }
}
